"""The vector column of descriptors."""

from typing import Any

from pgvector.django import VectorField


class PlainVectorField(VectorField):
    """pgvector's `vector` without a fixed dimension: rows of several versions stand in one column.

    Migrations give it `STORAGE PLAIN` (see `plain_storage`): a 512-d vector would otherwise move to TOAST, and a scan
    that fetches it from there is several times slower.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("dimensions", None)
        super().__init__(*args, **kwargs)


def plain_storage(table: str, column: str = "vector") -> tuple[str, str]:
    """SQL and its reverse that keep a column's values in the row."""
    statement = 'ALTER TABLE "{}" ALTER COLUMN "{}" SET STORAGE {}'
    return statement.format(table, column, "PLAIN"), statement.format(table, column, "EXTENDED")
