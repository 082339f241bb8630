"""A budget that threads share: in order, bounded, and with an end to the patience."""

import threading
import time
from collections.abc import Callable

from apps.common.budget import Budget
from apps.common.errors import LunaError


class User(threading.Thread):
    """Takes a part of a budget until it is told to give it back."""

    def __init__(self, budget: Budget, units: int) -> None:
        super().__init__(daemon=True)
        self.budget, self.units = budget, units
        self.entered, self.leave = threading.Event(), threading.Event()
        self.error: LunaError | None = None
        self.start()

    def run(self) -> None:
        try:
            with self.budget.take(self.units):
                self.entered.set()
                self.leave.wait(20)
        except LunaError as error:
            self.error = error

    def end(self) -> None:
        self.leave.set()
        self.join(20)


def waiting(budget: Budget) -> int:
    return len(budget._queue)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_threads_wait_for_the_budget_in_order() -> None:
    budget = Budget("units are in use", 100, wait_s=20)
    first = User(budget, 60)
    assert first.entered.wait(20)
    large = User(budget, 100)
    until(lambda: waiting(budget) == 1)
    small = User(budget, 10)  # would fit beside the first, but the large one came before
    until(lambda: waiting(budget) == 2)
    assert not small.entered.is_set()
    first.end()
    assert large.entered.wait(20)
    assert not small.entered.is_set()
    large.end()
    assert small.entered.wait(20)
    small.end()


def test_what_is_beyond_the_budget_is_used_alone() -> None:
    budget = Budget("units are in use", 100, wait_s=20)
    with budget.take(1000):
        other = User(budget, 1)
        until(lambda: waiting(budget) == 1)
    assert other.entered.wait(20)
    other.end()


def test_who_waits_too_long_gets_503_and_leaves_the_queue() -> None:
    budget = Budget("units are in use", 100, wait_s=0.05)
    with budget.take(100):
        late = User(budget, 1)
        late.join(20)
        assert late.error is not None
        assert (late.error.status, late.error.headers) == (503, {"Retry-After": "1"})
        assert late.error.detail == "The service is busy: too many units are in use"
        assert waiting(budget) == 0
    with budget.take(100):
        pass
