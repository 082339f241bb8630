"""Threads for the blocking work of websockets, which run on the event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async

from apps.common.process import PerProcess

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 2  # handshakes and credential checks; each thread keeps one database connection

executor = PerProcess(
    "sender database threads", lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="sender-database")
)
# Handshakes must not delay marks, and an unavailable Redis must not delay handshakes.
mark_executor = PerProcess("sender mark thread", lambda: ThreadPoolExecutor(1, thread_name_prefix="sender-marks"))


async def in_mark_thread(function: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
    """Call `function`, which talks to Redis, in a thread of its own."""
    call = partial(function, *args, **options)
    return await asyncio.get_running_loop().run_in_executor(mark_executor(), call)


def in_thread(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """Return an awaitable version of `function` that runs in a thread."""
    awaitable: Callable[P, Awaitable[R]] = database_sync_to_async(function, thread_sensitive=False, executor=executor())
    return awaitable
