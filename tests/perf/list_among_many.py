"""Exact match in PostgreSQL in a list of a tenth of 100,000 faces with 512 numbers, beside plain statements.

It takes minutes, so it runs by name only: `python -m tests.perf list_among_many`.
"""

from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection, transaction
from pgvector import Vector as PgVector

from apps.accounts.services import account_create
from apps.common.descriptors import Calibration, DescriptorVersion, Vector, versions
from apps.common.prepared import planned_cursor
from apps.common.scope import Scope
from apps.faces.models import Face, List, ListFace
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.types import FaceCandidates
from tests.perf.filling import analyze, descriptors_copy
from tests.perf.matching import timed
from tests.perf.report import Row, percentile

FACES, LISTED = 100_000, 10_000
DIMENSION = 512
DECAY = 0.35  # of the spread of the components, so that descriptors have a spectrum, as those of networks do
TOP = 5
ROUNDS = 60
BATCH = 5000
VERSION = DescriptorVersion(900_002, "face", "benchmark", DIMENSION, "float32-le", Calibration(((-1, 0), (1, 1))))

NEAREST = """
    SELECT d.face_id, d.vector <#> %s::vector AS distance FROM {table} d WHERE d.version = %s {members}
    ORDER BY distance LIMIT %s
"""
PLACES = "CREATE TEMPORARY TABLE places AS SELECT ctid AS place FROM faces_facedescriptor d WHERE version = {} {}"
BY_PLACE = "AND d.ctid = ANY(ARRAY(SELECT place FROM places))"  # no index, no list: PostgreSQL cannot read them faster
IN_LIST = "AND EXISTS (SELECT 1 FROM faces_listface x WHERE x.face_id = d.face_id AND x.list_id = {list_key})"


def bench() -> list[Row]:
    versions.register(VERSION)
    random = np.random.default_rng(2026)
    with transaction.atomic():  # the rows are gone afterwards
        account = account_create(login="benchmark@luna.test", password="correct horse battery")
        row = List.objects.create(account=account)
        keys = add_faces(account.account_id, random)
        members = random.permutation(keys)[:LISTED].tolist()
        links = (ListFace(list=row, face_id=key, link_key=number) for number, key in enumerate(members, start=1))
        ListFace.objects.bulk_create(links, batch_size=BATCH)
        copy_with_default_storage()
        candidates = FaceCandidates(scope=Scope(account.account_id), filters={"list_id": row.list_id})
        rows = compare(random, candidates, row.pk)
        transaction.set_rollback(True)
    return rows


def vectors_of(random: np.random.Generator, count: int) -> Vector:
    spread = np.arange(1, DIMENSION + 1) ** -DECAY
    vectors = random.standard_normal((count, DIMENSION)) * spread
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def add_faces(account_id: UUID, random: np.random.Generator) -> list[int]:
    keys: list[int] = []
    for _ in range(FACES // BATCH):
        faces = Face.objects.bulk_create([Face(account_id=account_id) for _ in range(BATCH)])
        descriptors_copy([face.pk for face in faces], VERSION.version, vectors_of(random, BATCH))
        keys += [face.pk for face in faces]
    return keys


def copy_with_default_storage() -> None:
    """Create the table that `CREATE TABLE … (vector vector(512))` gives: its vectors move to TOAST."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE plain (face_id bigint, version int, vector vector({DIMENSION}))")
        cursor.execute(
            "INSERT INTO plain SELECT face_id, version, vector FROM faces_facedescriptor WHERE version = %s",
            [VERSION.version],
        )
        cursor.execute("CREATE UNIQUE INDEX ON plain (face_id, version)")
        cursor.execute("ANALYZE plain")
    analyze()


def compare(random: np.random.Generator, candidates: FaceCandidates, list_key: int) -> list[Row]:
    """Alternate all variants, so that other load affects them equally."""
    members = IN_LIST.format(list_key=list_key)
    with connection.cursor() as cursor:
        cursor.execute(PLACES.format(VERSION.version, members))
    plain = {
        "plain ORDER BY of all": NEAREST.format(table="faces_facedescriptor", members=""),
        "plain ORDER BY of the list": NEAREST.format(table="faces_facedescriptor", members=members),
        "the same with pgvector's default storage": NEAREST.format(table="plain", members=members),
        "the same rows read by their places": NEAREST.format(table="faces_facedescriptor", members=BY_PLACE),
    }
    goals = dict(zip(plain, ("≤ 1/4", "", "", ""), strict=True))
    own: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in plain}
    right = 0
    for vector in vectors_of(random, ROUNDS):
        (hits,), own_ms = timed(partial(DatabaseMatcher().search, candidates, VERSION, [vector], TOP, -1.0))
        own.append(own_ms)
        found = {}
        for name, text in plain.items():
            found[name], ms = timed(partial(nearest_by, text, vector))
            times[name].append(ms)
        expected = {key for key, _ in found["plain ORDER BY of the list"]}
        right += len(expected & {hit.key for hit in hits})
    value = percentile(own, 50)
    rows = [Row("exact match, list of 10,000 among 100,000 × 512: recall", right / (ROUNDS * TOP), "", goal="1.000")]
    for name, every in times.items():
        baseline = percentile(every, 50)
        rows.append(Row(f"the same, p50, beside {name}", value, "ms", baseline, value / baseline, goals[name]))
    return rows


def nearest_by(text: str, vector: Vector) -> list[tuple[int, float]]:
    parameters: list[Any] = [PgVector(vector), VERSION.version, TOP]
    with planned_cursor() as cursor:
        cursor.execute(text, parameters)
        return cursor.fetchall()
