"""Threads that answer requests, and the queue before them."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from apps.common import errors
from apps.common.errors import LunaError

T = TypeVar("T")
Left = Callable[[], bool]  # whether the client has closed its connection
RETRY_AFTER_S = "1"
# When the oldest request has waited for so long, the queue grows faster than it is served. The newest request is then
# served first: its client still waits when the response is made, while the oldest time out in any case. In FIFO order,
# every response would be late.
OVERLOADED_S = 0.5


class ClientLeftError(Exception):
    """The client closed the connection; nobody receives the response."""


class Job:
    """A function that runs in a thread of a lane, and the future of its result.

    `left()` returns whether the client has closed its connection; the function does not run then.
    """

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], left: Left) -> None:
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Any] = self.loop.create_future()
        self.since_s = time.monotonic()
        self._function, self._arguments, self._left = function, arguments, left

    def run(self) -> None:
        """Run the function in this thread and hand the result to the event loop."""
        result, error = None, None
        try:
            if self._left():
                raise ClientLeftError
            result = self._function(*self._arguments)
        except BaseException as problem:
            error = problem
        with suppress(RuntimeError):  # the loop has ended
            self.loop.call_soon_threadsafe(self.finish, result, error)

    def finish(self, result: Any, error: BaseException | None) -> None:
        """Set the result, in the event loop."""
        if self.done.done():  # cancelled
            return
        if error is None:
            self.done.set_result(result)
        else:
            self.done.set_exception(error)


class Lane:
    """`threads` threads and a queue of at most `length` requests, each of which waits at most `wait_s`.

    The order is FIFO; while the queue is overloaded, it is LIFO. Threads take requests from the queue themselves: with
    a round trip through the event loop between two requests, they would be idle in between.
    """

    def __init__(self, name: str, threads: int, *, length: int, wait_s: float) -> None:
        self.threads, self.length, self.wait_s = threads, length, wait_s
        self.refused = 0  # requests that got no thread
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()
        self._idle, self._closed = threads, False
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}_{number}", daemon=True).start()

    @property
    def waiting(self) -> int:
        """The number of requests that no thread has taken yet."""
        return len(self._queue)

    @property
    def busy(self) -> int:
        """The number of threads that execute a request."""
        return self.threads - self._idle

    async def run(self, function: Callable[..., T], *arguments: Any, left: Left) -> T:
        """Return the result of `function`, which runs in a thread.

        Raises LunaError SERVICE_BUSY when the queue is full or the wait is too long. Raises ClientLeftError when the
        client has left (`left`) by the time a thread is free. `function` does not run then.
        """
        job = Job(function, arguments, left)
        with self._changed:
            surplus = len(self._queue) - self._idle  # requests that find no idle thread
            if surplus >= self.length:
                self.refused += 1
                raise _busy(f"{self.length} requests are waiting")
            self._queue.append(job)
            self._changed.notify()
        timer = job.loop.call_later(self.wait_s, self._expire, job) if surplus >= 0 else None
        try:
            result: T = await job.done
            return result
        finally:
            if timer is not None:
                timer.cancel()
            if job.done.cancelled():
                self._withdraw(job)

    def close(self) -> None:
        """End the idle threads, and the others after their requests."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _expire(self, job: Job) -> None:
        if self._withdraw(job):
            self.refused += 1
            job.finish(None, _busy(f"no thread became free within {self.wait_s:g} seconds"))

    def _withdraw(self, job: Job) -> bool:
        """Take a job out of the queue. False when a thread has taken it."""
        with self._changed, suppress(ValueError):
            self._queue.remove(job)
            return True
        return False

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue:
                    if self._closed:
                        return
                    self._changed.wait()
                overloaded = time.monotonic() - self._queue[0].since_s > OVERLOADED_S
                job = self._queue.pop() if overloaded else self._queue.popleft()
                self._idle -= 1
            job.run()
            del job  # otherwise it and its response are held until the next request
            with self._changed:
                self._idle += 1


def _busy(problem: str) -> LunaError:
    return LunaError(errors.SERVICE_BUSY, problem, headers={"Retry-After": RETRY_AFTER_S})
