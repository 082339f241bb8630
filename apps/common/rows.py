"""Model instances of rows that hand-written SQL reads, and estimated numbers of rows."""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import orjson
from django.db import DEFAULT_DB_ALIAS, connection, models

M = TypeVar("M", bound=models.Model)

ROWS_ESTIMATE = """(
    SELECT sum(greatest(reltuples, 0)) FROM pg_class
    WHERE relkind = 'r'
        AND oid IN (SELECT '{table}'::regclass UNION ALL SELECT relid FROM pg_partition_tree('{table}'))
)"""
"""SQL of the approximate number of rows of `table`: of its partitions, if it has any."""


COUNTED_ROWS = 100_000
"""Pages count at most so many rows of a table: counting a million takes a tenth of a second, and reads it all."""


def rows_estimate(table: str) -> int:
    """Return the number of rows of a table that PostgreSQL estimates; 0 before it has analysed the table."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {ROWS_ESTIMATE.format(table=table)}")
        return int(cursor.fetchone()[0] or 0)


def columns_of(model: type[models.Model]) -> tuple[str, ...]:
    """Return the names of a model's columns, in the order of its fields."""
    return tuple(field.attname for field in model._meta.concrete_fields)


def instance_of(model: type[M], columns: Sequence[str], row: Sequence[Any]) -> M:
    """Return the instance of one row with these columns, as the ORM would read it.

    With JSON columns `row` must be from a cursor that receives text, as all but `binary_cursor` do: they give JSON
    undecoded.
    """
    decoded = [
        orjson.loads(value) if name in _json_columns(model) and value is not None else value
        for name, value in zip(columns, row, strict=True)
    ]
    instance: M = model.from_db(DEFAULT_DB_ALIAS, columns, decoded)
    return instance


@cache
def _json_columns(model: type[models.Model]) -> frozenset[str]:
    return frozenset(field.attname for field in model._meta.concrete_fields if isinstance(field, models.JSONField))
