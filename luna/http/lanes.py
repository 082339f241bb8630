"""Threads that answer requests, and the queue before them."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from apps.common import errors
from apps.common.errors import LunaError

T = TypeVar("T")
Receive = Callable[[], Awaitable[dict[str, Any]]]
Turn = tuple[float, asyncio.Future[None]]  # when the request came (`time.monotonic`), and its turn
RETRY_AFTER_S = "1"
# A queue whose oldest request has waited for so long grows faster than it is served. The newest is then served first:
# its client still has patience when the answer is made, and the oldest are answered with 503 in any case. Served in
# order, every request would be answered late.
OVERLOADED_S = 0.5


class ClientLeftError(Exception):
    """The client has closed its connection: nobody waits for the answer."""


class Lane:
    """`threads` threads with a queue of at most `length` requests that wait at most `wait_s`.

    They are served in order, and newest first while the queue is overloaded.
    """

    def __init__(self, name: str, threads: int, *, length: int, wait_s: float) -> None:
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.length, self.wait_s = length, wait_s
        self._free = threads
        self._queue: deque[Turn] = deque()  # by the time of arrival

    async def run(self, function: Callable[..., T], *arguments: Any, receive: Receive) -> T:
        """Return what `function` returns in a thread.

        Raises LunaError SERVICE_BUSY where the queue is full or the wait too long, ClientLeftError for a client that
        left while it waited: its request never begins.
        """
        await self._enter(receive)
        try:
            return await asyncio.get_running_loop().run_in_executor(self.executor, function, *arguments)
        finally:
            self._leave()

    async def _enter(self, receive: Receive) -> None:
        if self._free:
            self._free -= 1
            return
        if len(self._queue) >= self.length:
            raise _busy(f"{self.length} requests are waiting")
        turn = asyncio.get_running_loop().create_future()
        place = (time.monotonic(), turn)
        self._queue.append(place)
        left = asyncio.ensure_future(client_left(receive))
        gone = True  # also where this task is cancelled
        try:
            await asyncio.wait((turn, left), timeout=self.wait_s, return_when=asyncio.FIRST_COMPLETED)
            gone = left.done()
        finally:
            left.cancel()
            if not turn.done():
                self._queue.remove(place)
            elif gone:
                self._leave()
        if gone:
            raise ClientLeftError
        if not turn.done():
            raise _busy(f"no thread became free within {self.wait_s:g} seconds")

    def _leave(self) -> None:
        """Hand the thread to the next in the queue."""
        if not self._queue:
            self._free += 1
            return
        overloaded = time.monotonic() - self._queue[0][0] > OVERLOADED_S
        _, turn = self._queue.pop() if overloaded else self._queue.popleft()
        turn.set_result(None)


async def client_left(receive: Receive) -> None:
    """Return when the client closes its connection. The body has been received."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _busy(problem: str) -> LunaError:
    return LunaError(errors.SERVICE_BUSY, problem, headers={"Retry-After": RETRY_AFTER_S})
