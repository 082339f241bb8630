"""Prepared statements: PostgreSQL parses and plans them once per connection, not once per execution."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg import Cursor


class _Planned(Cursor[Any]):
    """Never prepares: the planner sees the parameters of each execution."""

    def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
        return super().execute(query, params, **{"prepare": False, **kwargs})


@contextmanager
def prepared_cursor() -> Iterator[CursorWrapper]:
    """Open a cursor whose repeated statements psycopg prepares (server-side parameters).

    Use it for frequent statements whose parsing and planning take longer than their execution: an INSERT of an event
    takes 0.5 ms instead of 0.8 ms, a match among few faces 0.06 ms instead of 0.36 ms. The best plan must not depend on
    the parameters, and parameters need explicit types where PostgreSQL cannot infer them.
    """
    with _cursor(Cursor) as cursor:
        yield cursor


@contextmanager
def planned_cursor() -> Iterator[CursorWrapper]:
    """A cursor that sends parameters apart, as `prepared_cursor` does, but has each execution planned for them."""
    with _cursor(_Planned) as cursor:
        yield cursor


def _cursor(kind: type[Cursor[Any]]) -> CursorWrapper:
    connection.close_if_health_check_failed()  # as `connection.cursor` does
    connection.ensure_connection()
    wrapped = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    return wrapped(kind(connection.connection))  # type: ignore[arg-type]
