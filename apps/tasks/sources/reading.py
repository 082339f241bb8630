"""Reading of a source in other threads, while the thread of the task watches for its cancellation."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice
from threading import Event
from typing import TypeVar

from apps.common.config import config
from apps.common.errors import LunaError
from apps.tasks.config import Sources
from apps.tasks.sources.base import Entry, Source, SourceError

T = TypeVar("T")

STEP_S = 0.1  # between two checks
NAMES_AT_ONCE = 500
SLACK = 1.5  # of `silence_s`: time limits of connections come first, because they know what did not answer


def waited(future: "Future[T]", check: Callable[[], None]) -> T:
    """Return the result of a future, and call `check` while it runs."""
    while not wait((future,), STEP_S).done:
        check()
    check()
    return future.result()


class Reader:
    """Lists and reads a source. Raises SourceError once the source has given no sign of life for long.

    `check`: called at least every 100 ms; its errors end the reading. `listed`: files whose names are known and that
    `files` has not reached. `stopped`: set at the end.
    """

    def __init__(self, source: Source, check: Callable[[], None]) -> None:
        self._source, self._check = source, check
        self.listed = 0
        self.stopped = Event()
        self._pool = ThreadPoolExecutor(source.sessions + 1, thread_name_prefix="luna-source")

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exc: object) -> None:
        self.stopped.set()
        self._source.stop()  # first, so that blocked threads end
        self._pool.shutdown(wait=False, cancel_futures=True)

    def open(self) -> None:
        """Connect the source. Raises SourceError."""
        self._source.prepare()
        self._waited(self._pool.submit(self._source.open))

    def files(self, after: str) -> Iterator[tuple[Entry, bytes | LunaError]]:
        """Yield the files after a name with their bytes or their error; the next ones are read ahead.

        Raises SourceError, and the errors of `check`.
        """
        ahead = 2 * self._source.sessions
        running: deque[tuple[Entry, Future[bytes] | None]] = deque()
        for entry in self._entries(after):
            running.append((entry, None if entry.error else self._pool.submit(self._source.read, entry.name)))
            if len(running) > ahead:
                yield self._next(running)
        while running:
            yield self._next(running)

    def _next(self, running: "deque[tuple[Entry, Future[bytes] | None]]") -> tuple[Entry, bytes | LunaError]:
        entry, reading = running.popleft()
        if reading is None:
            assert entry.error is not None  # noqa: S101
            return entry, entry.error
        try:
            return entry, self._waited(reading)
        except SourceError:
            raise
        except LunaError as error:
            return entry, error

    def _entries(self, after: str) -> Iterator[Entry]:
        """Yield the files in order; the next names are listed ahead."""
        names = self._source.entries(after)

        def some() -> list[Entry]:
            return list(islice(names, NAMES_AT_ONCE))

        coming = self._pool.submit(some)
        while found := self._waited(coming):
            coming = self._pool.submit(some)
            self.listed += len(found)
            for entry in found:
                self.listed -= 1
                yield entry

    def _waited(self, future: "Future[T]") -> T:
        self._source.active = time.monotonic()
        return waited(future, self._check_all)

    def _check_all(self) -> None:
        self._check()
        silence_s = time.monotonic() - self._source.active
        if silence_s > SLACK * config(Sources).silence_s:
            raise SourceError(self._source.lost, f"{self._source.place}: no answer for {silence_s:.0f} s")
