"""Feeds a target with damaged input."""

import time
import warnings
from collections.abc import Callable
from contextlib import suppress

from apps.common.errors import LunaError
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS

SLOWEST_S = 10.0  # longer runs count as hanging, even on a busy machine


class FuzzError(Exception):
    """An input that a target did not stand; its number makes it again."""


def feed(name: str, numbers: range, note: Callable[[int], None] = lambda number: None) -> None:
    """Raises FuzzError for the first input that ends in anything but a result or a LunaError, or takes too long.

    `note` is told each number before its input is tried.
    """
    target = TARGETS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow tells of damage that it survives
        for number in numbers:
            note(number)
            data = mutated(target.seeds, number)
            started = time.perf_counter()
            try:
                with suppress(LunaError):
                    target.call(data)
            except Exception as error:
                raise FuzzError(f"{name}, input {number}: {error!r}") from error
            if time.perf_counter() - started > SLOWEST_S:
                raise FuzzError(f"{name}, input {number}: more than {SLOWEST_S} s")
