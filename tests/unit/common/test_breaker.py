"""When a service is asked, and when it is left alone."""

import threading
import time
from typing import Any

import pytest

from apps.common import breaker as module
from apps.common.breaker import AwayError, Breaker


def breaker(**options: Any) -> Breaker:
    given = {"at_once": 2, "failures": 2, "pause_s": 0.2, "patience_s": 0.2} | options
    return Breaker(is_failure=lambda error: True if isinstance(error, TimeoutError) else None, **given)


class Clock:
    """A clock that only the test moves."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


def call(guarded: Breaker, error: Exception | None = None) -> str:
    try:
        with guarded.guard():
            if error is not None:
                raise error
    except AwayError:
        return "refused"
    except Exception:
        return "failed"
    return "done"


def test_failures_in_a_row_open_it_and_one_success_closes_it(clock: Clock) -> None:
    guarded = breaker()
    outcomes = [call(guarded, error) for error in (TimeoutError(), None, TimeoutError(), TimeoutError(), None)]
    assert outcomes == ["failed", "done", "failed", "failed", "refused"]
    assert guarded.is_open
    clock.now += 0.25
    assert [call(guarded, TimeoutError()), call(guarded)] == ["failed", "refused"]
    clock.now += 0.25
    assert [call(guarded), call(guarded)] == ["done", "done"]
    assert not guarded.is_open


def test_what_says_nothing_of_the_storage_changes_nothing(clock: Clock) -> None:
    guarded = breaker()
    assert [call(guarded, ValueError()) for _ in range(5)] == ["failed"] * 5
    assert [call(guarded, error) for error in (TimeoutError(), ValueError(), TimeoutError())] == ["failed"] * 3
    assert call(guarded) == "refused"


def hold(guarded: Breaker, gate: threading.Event, count: int) -> list[threading.Thread]:
    """Calls that last until the gate opens."""

    def run() -> None:
        with guarded.guard():
            gate.wait(10)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    while guarded._running < count:
        time.sleep(0.001)
    return threads


def test_after_the_pause_one_goes_first(clock: Clock) -> None:
    guarded, gate = breaker(), threading.Event()
    for _ in range(2):
        call(guarded, TimeoutError())
    clock.now += 0.25
    (probe,) = hold(guarded, gate, 1)
    assert call(guarded) == "refused"
    gate.set()
    probe.join()
    assert call(guarded) == "done"


def test_nobody_waits_longer_than_patience_for_a_place(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded, gate = breaker(), threading.Event()
    threads = hold(guarded, gate, 2)
    waited: list[float] = []

    def in_vain(_: object, timeout: float) -> bool:
        waited.append(timeout)
        clock.now += timeout
        return False

    with monkeypatch.context() as patched:
        patched.setattr(guarded._free, "wait_for", in_vain)
        assert [call(guarded), call(guarded)] == ["refused", "refused"]
    gate.set()
    for thread in threads:
        thread.join()
    assert waited == [pytest.approx(0.2)], "the second call does not wait: nothing has moved since"
    assert call(guarded) == "done"


def test_many_go_through_few_places() -> None:
    guarded = breaker(patience_s=30.0)
    outcomes: list[str] = []

    def run() -> None:
        for _ in range(50):
            with guarded.guard():
                assert guarded._running <= 2
                time.sleep(0.0005)
            outcomes.append("done")

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 400
    assert guarded._running == 0
