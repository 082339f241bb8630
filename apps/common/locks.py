"""Locks between processes: advisory locks of PostgreSQL, and locks of files of one machine."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection


@contextmanager
def advisory_lock(name: str, *, wait: bool = False) -> Iterator[bool]:
    """Try to hold the lock `name`; yield whether it is held. With `wait`, block until it is.

    PostgreSQL releases the lock when the connection ends.
    """
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT true FROM pg_advisory_lock(hashtextextended(%s, 0))", [name])
        else:
            cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        (ours,) = cursor.fetchone() or (False,)
    try:
        yield ours
    finally:
        if ours:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])


@contextmanager
def file_lock(path: Path) -> Iterator[bool]:
    """Hold the lock of a file, made with its directory; yield whether it is held. The kernel releases it at exit."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
