"""What exists once per process: made at the first use, made anew in a forked child, closed when the process ends.

Threads, sockets and held locks do not survive a fork. A child that kept its parent's object would wait for ever.
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
    """One object per process; call the instance to get it.

    `close` ends the object, `status` describes it for metrics: plain numbers and texts by name.
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
        """Return the object of this process. Raises what `make` raises; the next call tries again."""
        value = self.value
        if value is None:
            with self._lock:
                if self.value is None:
                    self.value = self._make()
                value = self.value
        return value

    def close(self) -> None:
        """End the object, if it was made. The next call makes another."""
        with self._lock:
            value, self.value = self.value, None
        if value is not None and self._close is not None:
            self._close(value)

    def status(self) -> Status | None:
        """Return the object's status, None while the object is not made."""
        value = self.value
        if value is None:
            return None
        return {} if self._status is None else self._status(value)

    def forget(self) -> None:
        """Drop the object unclosed: in a forked child it is the parent's, and so is the lock."""
        self.value, self._lock = None, threading.Lock()


def status() -> dict[str, Status | None]:
    """Return the status of everything that exists once per process, by name."""
    return {each.name: each.status() for each in sorted(_all, key=lambda each: each.name)}


def close_all() -> None:
    """End everything that exists once per process."""
    for each in tuple(_all):
        each.close()


def _forget_all() -> None:
    for each in tuple(_all):
        each.forget()


os.register_at_fork(after_in_child=_forget_all)
atexit.register(close_all)
