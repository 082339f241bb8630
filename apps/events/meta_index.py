"""Indexes of single paths of `meta`, made and dropped by operators (`manage.py meta_index`)."""

import hashlib
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.db import connection, transaction
from psycopg import sql
from rest_framework.exceptions import ValidationError

from apps.common.filters.meta import PREFIX as META_PREFIX
from apps.common.filters.meta import meta_condition
from apps.common.validation import describe_validation
from apps.events.models import Event
from apps.events.partitions import EVENTS, LOCK_TIMEOUT_MS, partitions_of

PREFIX = "event_meta_"
INDEXED_LIFETIME_S = 60
LISTED = """
SELECT obj_description(oid, 'pg_class'), (SELECT indisvalid FROM pg_index WHERE indexrelid = oid)
FROM pg_class WHERE relkind = 'I' AND relname LIKE 'event\\_meta\\_%' ORDER BY 1
"""


class MetaIndexError(Exception):
    """An index cannot be made or dropped. The message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class MetaIndex:
    """An index of a path, such as `user.temperature:numeric`. `complete`: all partitions have it."""

    path: str
    complete: bool


def meta_indexes() -> list[MetaIndex]:
    """Return the indexes of `meta`, ordered by path."""
    with connection.cursor() as cursor:
        cursor.execute(LISTED)
        return [MetaIndex(path, complete) for path, complete in cursor.fetchall()]


def indexed_paths() -> frozenset[str]:
    """Return the paths with a complete index, as they were at most `INDEXED_LIFETIME_S` ago."""
    return _indexed(int(time.monotonic() / INDEXED_LIFETIME_S))


@lru_cache(maxsize=1)
def _indexed(_period: int) -> frozenset[str]:
    return frozenset(each.path for each in meta_indexes() if each.complete)


def meta_index_create(path: str) -> None:
    """Index the values at a path for `eq`, `in` and, with `:numeric`, for `gt`, `gte`, `lt` and `lte`.

    Partitions are indexed one after the other, concurrently: searches and saves continue. Later partitions get the
    index by themselves. Searches use it once the planner knows the values, so this ends with ANALYZE. A second call
    finishes an interrupted one. Raises MetaIndexError for an invalid path.
    """
    path = path.removesuffix(":string")
    value, name = _value(path), _name(path)
    expressions = f"(account_id, ({value})) WHERE ({value}) IS NOT NULL"
    with connection.cursor() as cursor:
        with transaction.atomic():
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            cursor.execute(f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {EVENTS} {expressions}")
            cursor.execute(f"COMMENT ON INDEX {name} IS {_literal(path)}")
        for partition in partitions_of(EVENTS):
            part = f"{name}{partition.name.removeprefix(EVENTS)}"
            cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [part])
            found = cursor.fetchone()
            if found == (False,):  # of an interrupted run
                cursor.execute(f"DROP INDEX {_concurrently()} {part}")
            if found != (True,):
                cursor.execute(f"CREATE INDEX {_concurrently()} {part} ON {partition.name} {expressions}")
            cursor.execute(f"ALTER INDEX {name} ATTACH PARTITION {part}")
        cursor.execute(f"ANALYZE {EVENTS}")  # of each partition, too
    _indexed.cache_clear()


def meta_index_drop(path: str) -> None:
    """Drop the index of a path. Raises MetaIndexError if there is none."""
    path = path.removesuffix(":string")
    if path not in {each.path for each in meta_indexes()}:
        raise MetaIndexError(f"There is no index of {path!r}.")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        cursor.execute(f"DROP INDEX {_name(path)}")
    _indexed.cache_clear()


def _concurrently() -> str:
    return "" if connection.in_atomic_block else "CONCURRENTLY"


def _name(path: str) -> str:
    return PREFIX + hashlib.sha256(path.encode()).hexdigest()[:16]


def _value(path: str) -> str:
    """Return the SQL of the value that conditions on the path compare; an index of any other would not be used."""
    name, _, kind = path.partition(":")
    if kind not in ("", "string", "numeric"):
        raise MetaIndexError(f"The type of a path is string or numeric, got {kind!r}.")
    try:
        condition = meta_condition(f"{META_PREFIX}{path}", "0")
    except ValidationError as error:
        raise MetaIndexError(f"{path!r} is no path of objects: {describe_validation(error.detail)}") from error
    if condition.operator != "eq" or path.endswith("__eq"):
        raise MetaIndexError(f"{name!r} has an operator.")
    compiler = Event.objects.unscoped().query.get_compiler(connection=connection)
    statement, parameters = compiler.compile(condition.value().resolve_expression(compiler.query))
    for parameter in parameters:
        statement = statement.replace("%s", _literal(parameter), 1)
    return str(statement.replace('"events_event".', ""))


def _literal(value: Any) -> str:
    return sql.Literal(value).as_string(connection.connection)
