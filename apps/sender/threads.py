"""Threads for the database work of websockets, which run on the event loop."""

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async

from apps.common.process import PerProcess

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 2  # handshakes and credential checks; each thread keeps one database connection

executor = PerProcess(
    "sender database threads", lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="sender-database")
)


def in_thread(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """Return an awaitable version of `function` that runs in a thread."""
    awaitable: Callable[P, Awaitable[R]] = database_sync_to_async(function, thread_sensitive=False, executor=executor())
    return awaitable
