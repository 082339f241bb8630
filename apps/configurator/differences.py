"""Differences between two states of an object of the history."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """A member that differs. `path`: with dots. `before`, `after`: `ABSENT` if the state has no such member."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Yield the members that differ. Objects are compared by member, arrays as a whole."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            place = f"{path}.{name}" if path else str(name)
            yield from differences(before.get(name, ABSENT), after.get(name, ABSENT), place)
    elif isinstance(before, bool) is not isinstance(after, bool) or before != after:
        yield Difference(path, before, after)
