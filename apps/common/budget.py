"""A limited resource that the threads of a process share in FIFO order, such as pixels in decoding."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from apps.common import errors
from apps.common.errors import LunaError


class Budget:
    """A budget of `total` units in use at a time. Threads wait in FIFO order, at most `wait_s` seconds.

    `use` completes the error's sentence, such as "passwords are being checked".
    """

    def __init__(self, use: str, total: int, wait_s: float) -> None:
        self.use, self.total, self.wait_s = use, total, wait_s
        self._taken = 0
        self._queue: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, units: int) -> Iterator[None]:
        """Hold `units` of the budget. More than `total` units are granted only while no others are held.

        Raises LunaError SERVICE_BUSY after `wait_s`.
        """
        place = object()
        with self._changed:
            self._queue.append(place)
            try:
                ours = self._changed.wait_for(
                    lambda: self._queue[0] is place and (not self._taken or self._taken + units <= self.total),
                    self.wait_s,
                )
                if not ours:
                    raise LunaError(errors.SERVICE_BUSY, f"too many {self.use}", headers={"Retry-After": "1"})
                self._taken += units
            finally:
                self._queue.remove(place)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken -= units
                self._changed.notify_all()
