"""The vector column of descriptors, vectors as parameters of statements, and pages of stored vectors."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import psycopg
from django.core.exceptions import EmptyResultSet
from django.db.models import BinaryField, F, Func, QuerySet
from numpy.typing import NDArray
from pgvector import Vector
from pgvector.django import VectorField
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

from apps.common.descriptors import Descriptor
from apps.common.prepared import binary_cursor

HEADER_BYTES = 4  # of pgvector's binary form: dimension and an unused number, 2 bytes each


class VectorDumper(Dumper):
    """Send a `pgvector.Vector` as bytes, for `prepared_cursor` and `planned_cursor`: `%s::vector`.

    As text, 512 floats take 1 ms to write and PostgreSQL parses them; as bytes 2 µs.
    """

    format = Format.BINARY

    def dump(self, obj: Vector) -> Buffer | None:
        return obj.to_binary()


psycopg.adapters.register_dumper(Vector, VectorDumper)


class PlainVectorField(VectorField):
    """pgvector's `vector` without a fixed dimension: one column stores several descriptor versions.

    Migrations set `STORAGE PLAIN` (see `plain_storage`). Otherwise 512-d vectors would move to TOAST, which makes a
    scan several times slower.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("dimensions", None)
        super().__init__(*args, **kwargs)


def plain_storage(table: str, column: str = "vector") -> tuple[str, str]:
    """Return SQL that stores a column's values in the row, and its reverse."""
    statement = 'ALTER TABLE "{}" ALTER COLUMN "{}" SET STORAGE {}'
    return statement.format(table, column, "PLAIN"), statement.format(table, column, "EXTENDED")


class VectorPage(NamedTuple):
    """Descriptors of stored objects in the order of creation.

    `keys`: database keys, int64 [n]. `vectors`: unit vectors, float32 [n, dimension].
    """

    keys: NDArray[np.int64]
    ids: tuple[UUID, ...]
    vectors: NDArray[np.float32]


def descriptors_by_owner(rows: "QuerySet[Any]", *, owner: str) -> dict[int, list[Descriptor]]:
    """Return the descriptors of a query by `owner`, a column of keys, ordered by version; versions may differ."""
    sent = Func(F("vector"), function="vector_send", output_field=BinaryField())
    found: dict[int, list[Descriptor]] = {}
    for key, version, score, data in _binary_rows(
        rows.order_by("version").values_list(owner, "version", "score", sent)
    ):
        found.setdefault(key, []).append(Descriptor(version, np.frombuffer(data, ">f4", offset=4).astype("f4"), score))
    return found


def _binary_rows(rows: "QuerySet[Any, Any]") -> list[tuple[Any, ...]]:
    """Return the rows in PostgreSQL's binary form; those of an empty list of ids are none."""
    try:
        statement, parameters = rows.query.sql_with_params()
    except EmptyResultSet:
        return []
    with binary_cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def vectors_page(rows: "QuerySet[Any]", *, owner: str, object_id: str, dimension: int) -> VectorPage:
    """Return the descriptors of a query on a model with the columns `owner` (a key), `object_id` (a UUID) and `vector`.

    PostgreSQL sends the vectors in binary form: as text, a vector of 512 numbers takes fifty times as long to read.
    """
    sent = Func(F("vector"), function="vector_send", output_field=BinaryField())
    found = _binary_rows(rows.values_list(owner, object_id, sent))
    return VectorPage(
        keys=np.array([key for key, _, _ in found], np.int64),
        ids=tuple(each for _, each, _ in found),
        vectors=_decoded((data for _, _, data in found), dimension),
    )


def _decoded(values: Iterable[bytes], dimension: int) -> NDArray[np.float32]:
    """Decode pgvector's binary form: its header, then big-endian floats."""
    row = np.dtype([("dimension", ">i2"), ("unused", ">i2"), ("vector", ">f4", (dimension,))])
    vectors: NDArray[np.float32] = np.frombuffer(b"".join(values), row)["vector"].astype(np.float32)
    return vectors
