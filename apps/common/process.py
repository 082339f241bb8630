"""Objects that exist once per process: created at first use, created anew in a forked child, closed at exit.

Threads, sockets and locks do not survive a fork. A child that used its parent's object would block for ever.
"""

import atexit
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")
Status = Mapping[str, object]

_all: "WeakSet[PerProcess[Any]]" = WeakSet()


class PerProcess(Generic[T]):
    """Holds one object per process; calling the instance returns the object.

    `close` ends the object. `status` describes it for metrics: plain numbers and texts by name.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], T],
        *,
        close: Callable[[T], None] | None = None,
        status: Callable[[T], Status] | None = None,
    ) -> None:
        self.name = name
        self.value: T | None = None  # None until the first use
        self._make, self._close, self._status = make, close, status
        self._lock = threading.Lock()
        _all.add(self)

    def __call__(self) -> T:
        """Return the object of this process. Propagates errors of `make`; the next call tries again."""
        value = self.value
        if value is None:
            with self._lock:
                if self.value is None:
                    self.value = self._make()
                value = self.value
        return value

    def close(self) -> None:
        """Close the object if it exists. The next call creates another."""
        with self._lock:
            value, self.value = self.value, None
        if value is not None and self._close is not None:
            self._close(value)

    def replace(self, value: T) -> T | None:
        """Put another object in place of the present one and return the latter, which the caller closes."""
        with self._lock:
            former, self.value = self.value, value
        return former

    def status(self) -> Status | None:
        """Return the object's status, or None if the object does not exist yet."""
        value = self.value
        if value is None:
            return None
        return {} if self._status is None else self._status(value)

    def forget(self) -> None:
        """Drop object and lock without closing them: in a forked child both belong to the parent."""
        self.value, self._lock = None, threading.Lock()


def status() -> dict[str, Status | None]:
    """Return the status of all per-process objects, by name."""
    return {each.name: each.status() for each in sorted(_all, key=lambda each: each.name)}


def close_all() -> None:
    """Close all per-process objects."""
    for each in tuple(_all):
        each.close()


def _forget_all() -> None:
    for each in tuple(_all):
        each.forget()


os.register_at_fork(after_in_child=_forget_all)
atexit.register(close_all)
