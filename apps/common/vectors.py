"""The vector column of descriptors, and vectors as parameters of statements."""

from typing import Any

import psycopg
from pgvector import Vector
from pgvector.django import VectorField
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format


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
