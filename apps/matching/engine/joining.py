"""Joining of concurrent searches: requests that wait for a processor are scanned together.

A scan of many vectors reads the codes once, so it takes little longer than a scan of one. Nothing waits for a deadline:
a request that finds a free slot starts at once. While all slots are taken, requests queue, and the next slot takes all
equal ones of the queue.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T, R]):
    key: Hashable
    item: T
    size: int
    run: Callable[[Sequence[T]], Sequence[R]]
    leads: bool = False
    result: R | None = None
    error: BaseException | None = None
    finished: bool = False
    changed: threading.Event = field(default_factory=threading.Event)


class Joiner(Generic[T, R]):
    """Runs at most `at_once()` batches at the same time, each of at most `batch()` items and `max_size`."""

    def __init__(self, *, at_once: Callable[[], int], batch: Callable[[], int], max_size: int) -> None:
        self._at_once, self._batch, self._max_size = at_once, batch, max_size
        self._lock = threading.Lock()
        self._queue: list[_Waiting[T, R]] = []
        self._running = 0
        self.batches = self.items = 0

    def __call__(self, key: Hashable, item: T, *, size: int, run: Callable[[Sequence[T]], Sequence[R]]) -> R:
        """Return the result of one item. `run` gets items of equal keys and returns a result for each.

        Propagates the errors of `run` to all items of the batch.
        """
        mine = _Waiting(key, item, size, run)
        with self._lock:
            self._queue.append(mine)
            if self._running < self._at_once():
                self._running += 1
                mine.leads = True
        if not mine.leads:
            mine.changed.wait()
        if mine.leads:
            self._lead(mine)
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value]  # finished without an error

    def _lead(self, mine: _Waiting[T, R]) -> None:
        """Run batches in the order of the queue until one has the own item; then pass the slot on."""
        try:
            while not mine.finished:
                self._run(self._next(mine))
        finally:
            with self._lock:
                after = next((each for each in self._queue if not each.leads), None)
                if after is None:
                    self._running -= 1
                else:
                    after.leads = True
                    after.changed.set()

    def _next(self, mine: _Waiting[T, R]) -> list[_Waiting[T, R]]:
        """Take the first item and those that can run with it. Items of other leaders stay: they run them."""
        with self._lock:
            waiting = [each for each in self._queue if each is mine or not each.leads]
            batch: list[_Waiting[T, R]] = []
            size = 0
            for each in waiting:
                fits = not batch or (len(batch) < self._batch() and size + each.size <= self._max_size)
                if each.key == waiting[0].key and fits:
                    batch.append(each)
                    size += each.size
            taken = set(map(id, batch))
            self._queue = [each for each in self._queue if id(each) not in taken]
        return batch

    def _run(self, batch: Sequence[_Waiting[T, R]]) -> None:
        try:
            results = batch[0].run([each.item for each in batch])
            for each, result in zip(batch, results, strict=True):
                each.result = result
        except BaseException as error:
            for each in batch:
                each.error = error
        self.batches += 1
        self.items += len(batch)
        for each in batch:
            each.finished = True
            each.changed.set()
