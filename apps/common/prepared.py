"""Prepared statements: PostgreSQL parses and plans them once per connection, not once per execution."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.backends.utils import CursorWrapper
from psycopg import Cursor


@contextmanager
def prepared_cursor() -> Iterator[CursorWrapper]:
    """Open a cursor whose repeated statements psycopg prepares (server-side parameters).

    Use it for frequent statements whose parsing and planning take longer than their execution: an INSERT of an event
    takes 0.5 ms instead of 0.8 ms, a match among few faces 0.06 ms instead of 0.36 ms. The best plan must not depend on
    the parameters, and parameters need explicit types where PostgreSQL cannot infer them.
    """
    connection.close_if_health_check_failed()  # as `connection.cursor` does
    connection.ensure_connection()
    wrapped = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with wrapped(Cursor(connection.connection)) as cursor:  # type: ignore[arg-type]
        yield cursor
