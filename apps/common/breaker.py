"""Keeps a service that does not answer (S3, Redis) from holding every thread of the process.

Our own: of the libraries, pybreaker holds a lock for as long as a call takes, so that two never run at once, and none
bounds how many wait.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class AwayError(OSError):
    """The service is not asked: it did not answer before, or as many calls as may wait for it do."""


class Breaker:
    """Lets at most `at_once` calls of a service run, and none for `pause_s` after `failures` of them in a row.

    After the pause one call goes first; the others follow when it was answered. `is_failure` says which errors mean
    that nobody answered: an answer, be it an error, shows that the service is present. All other errors say nothing.
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
        self._moved = 0.0  # when a call last began or was answered

    @property
    def is_open(self) -> bool:
        """Whether the service was given up, until one call succeeds."""
        return self._failed >= self.failures

    def status(self) -> dict[str, object]:
        """The calls that run, how many may, how many failed in a row, and whether the service is given up."""
        return {"running": self._running, "at_once": self.at_once, "failed": self._failed, "open": self.is_open}

    @contextmanager
    def guard(self) -> Iterator[None]:
        """One call. Raises AwayError in `patience_s` at the latest when it may not be made."""
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
                    raise AwayError("it did not answer a moment ago")
                self._closed_until = now + self.pause_s  # this call goes first, and the next one if it is lost
            elif self._running >= self.at_once:
                # A service that answers nobody is not worth waiting for.
                left_s = self._moved + self.patience_s - now
                if left_s <= 0 or not self._free.wait_for(lambda: self._running < self.at_once, left_s):
                    raise AwayError("too many wait for it")
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
