"""Faces with descriptors by PostgreSQL's binary COPY: a million takes a minute, inserts take an hour."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from django.db import connection

from apps.common import nearest
from apps.common.descriptors import Calibration, DescriptorVersion, Vector, versions
from apps.faces.models import List

BATCH_ROWS = 20_000
FACES = """
INSERT INTO faces_face (account_id, face_id, external_id, user_data, avatar, create_time, last_update_time)
SELECT %s, gen_random_uuid(), '', 'group ' || n %% 10, '', now(), now() FROM generate_series(1, %s) n RETURNING id
"""
LINKS = """
INSERT INTO faces_listface (list_id, face_id, link_key, link_time)
SELECT %s, key, place, now() FROM unnest(%s::bigint[]) WITH ORDINALITY AS given(key, place)
"""
REGISTER = "import django; django.setup(); from tests.perf.filling import version_register; version_register({})"


def version_register(dimension: int) -> DescriptorVersion:
    """Register the default version of a benchmark in this process; another process executes `REGISTER`."""
    calibration = Calibration(((-1, 0), (1, 1)))
    version = DescriptorVersion(900_100 + dimension, "face", "benchmark", dimension, "float32-le", calibration)
    versions.register(version, default=True)
    return version


def faces_fill(account_id: UUID, version: int, vectors: Vector) -> list[int]:
    """Insert a face for each descriptor, float32 [n, d]; return the keys of the faces, ascending.

    A tenth of the faces has the user data "group 3".
    """
    with connection.cursor() as cursor:
        cursor.execute(FACES, [account_id, len(vectors)])
        keys = sorted(key for (key,) in cursor.fetchall())
    descriptors_copy(keys, version, vectors)
    return keys


def list_fill(account_id: UUID, keys: Sequence[int]) -> List:
    """Create a list of faces."""
    row: List = List.objects.create(account_id=account_id, link_key=len(keys))
    with connection.cursor() as cursor:
        cursor.execute(LINKS, [row.pk, list(keys)])
    analyze()
    return row


def descriptors_copy(keys: Sequence[int], version: int, vectors: Vector) -> None:
    """Write the descriptor of each face."""
    dimension = vectors.shape[1]
    kind = np.dtype(
        [
            ("fields", ">i2"),
            *(("key_size", ">i4"), ("key", ">i8"), ("version_size", ">i4"), ("version", ">i4")),
            *(("generation_size", ">i4"), ("generation", ">i4")),
            *(("size", ">i4"), ("dimension", ">i2"), ("unused", ">i2"), ("vector", ">f4", (dimension,))),
        ]
    )
    statement = "COPY faces_facedescriptor (face_id, version, generation, vector) FROM STDIN (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for at in range(0, len(vectors), BATCH_ROWS):
            part = vectors[at : at + BATCH_ROWS]
            rows = np.zeros(len(part), kind)
            rows["fields"], rows["key_size"], rows["version_size"], rows["generation_size"] = 4, 8, 4, 4
            rows["size"], rows["dimension"] = 4 + 4 * dimension, dimension
            rows["key"], rows["version"], rows["vector"] = keys[at : at + BATCH_ROWS], version, part
            copy.write(rows.tobytes())
        copy.write(b"\xff\xff")


def analyze() -> None:
    """Analyse the tables, as autovacuum does after a growth, and expire the counts of candidates."""
    nearest._census.cache_clear()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE faces_face, faces_facedescriptor, faces_list, faces_listface")
