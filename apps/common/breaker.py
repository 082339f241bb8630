"""A circuit breaker with a concurrency limit: an unresponsive service (S3, Redis) must not block all threads.

No library fits: pybreaker holds a lock during each call, so calls never run concurrently, and none limits the calls
that wait.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class AwayError(OSError):
    """The call was not made: the breaker is open, or too many calls are running."""


class Breaker:
    """Runs at most `at_once` calls at a time. Opens for `pause_s` seconds after `failures` failed calls in a row.

    After the pause the breaker is half-open: one trial call at a time, until one succeeds. A further call waits at most
    `patience_s` seconds for a running one to finish.

    `is_failure` classifies an exception: True when the service did not answer, False when it answered with an error
    (which counts as a success), None when the exception proves neither.
    """

    def __init__(
        self,
        *,
        at_once: int,
        failures: int,
        pause_s: float,
        patience_s: float,
        is_failure: Callable[[BaseException], bool | None],
    ) -> None:
        self.at_once, self.failures, self.pause_s, self.patience_s = at_once, failures, pause_s, patience_s
        self.is_failure = is_failure
        self._free = threading.Condition()
        self._running = 0
        self._failed = 0  # in a row
        self._closed_until = 0.0
        self._moved = 0.0  # time of the last call that began or was answered

    @property
    def is_open(self) -> bool:
        """Whether calls are rejected, except for trial calls."""
        return self._failed >= self.failures

    def room(self) -> int:
        """Return how many calls may begin now without waiting. Another thread may be faster."""
        with self._free:
            if self.is_open:
                return int(time.monotonic() >= self._closed_until)
            return max(0, self.at_once - self._running)

    def status(self) -> dict[str, object]:
        """Return the running calls, their limit, the failures in a row, and whether the breaker is open."""
        return {"running": self._running, "at_once": self.at_once, "failed": self._failed, "open": self.is_open}

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Guard one call. Raises AwayError, after `patience_s` at the latest, when the call may not be made."""
        self._enter()
        failed: bool | None = False
        try:
            yield
        except BaseException as error:
            failed = self.is_failure(error)
            raise
        finally:
            self._leave(failed)

    def _enter(self) -> None:
        with self._free:
            now = time.monotonic()
            if self.is_open:
                if now < self._closed_until:
                    raise AwayError("it did not answer recent calls")
                self._closed_until = now + self.pause_s  # half-open: one trial call at a time
            elif self._running >= self.at_once:
                # If no call was answered within `patience_s`, waiting longer is pointless.
                left_s = self._moved + self.patience_s - now
                if left_s <= 0 or not self._free.wait_for(lambda: self._running < self.at_once, left_s):
                    raise AwayError("too many calls are waiting for it")
            self._running += 1
            self._moved = time.monotonic()

    def _leave(self, failed: bool | None) -> None:
        with self._free:
            self._running -= 1
            if failed:
                self._failed += 1
                self._closed_until = time.monotonic() + self.pause_s
            elif failed is False:
                self._failed = 0
                self._moved = time.monotonic()
            self._free.notify()
