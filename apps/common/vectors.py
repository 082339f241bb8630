"""The vector column of descriptors."""

from typing import Any

from pgvector.django import VectorField


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
