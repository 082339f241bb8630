"""When a service is asked, and when it is left alone."""

import threading
import time
from typing import Any

import pytest

from apps.common.breaker import AwayError, Breaker


def breaker(**options: Any) -> Breaker:
    given = {"at_once": 2, "failures": 2, "pause_s": 0.2, "patience_s": 0.2} | options
    return Breaker(is_failure=lambda error: True if isinstance(error, TimeoutError) else None, **given)


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


def test_failures_in_a_row_open_it_and_one_success_closes_it() -> None:
    guarded = breaker()
    outcomes = [call(guarded, error) for error in (TimeoutError(), None, TimeoutError(), TimeoutError(), None)]
    assert outcomes == ["failed", "done", "failed", "failed", "refused"]
    assert guarded.is_open
    time.sleep(0.25)
    assert [call(guarded, TimeoutError()), call(guarded)] == ["failed", "refused"]
    time.sleep(0.25)
    assert [call(guarded), call(guarded)] == ["done", "done"]
    assert not guarded.is_open


def test_what_says_nothing_of_the_storage_changes_nothing() -> None:
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


def test_after_the_pause_one_goes_first() -> None:
    guarded, gate = breaker(), threading.Event()
    for _ in range(2):
        call(guarded, TimeoutError())
    time.sleep(0.25)
    (probe,) = hold(guarded, gate, 1)
    assert call(guarded) == "refused"
    gate.set()
    probe.join()
    assert call(guarded) == "done"


def test_nobody_waits_longer_than_patience_for_a_place() -> None:
    guarded, gate = breaker(), threading.Event()
    threads = hold(guarded, gate, 2)
    waited: list[tuple[str, float]] = []
    for _ in range(2):
        started = time.monotonic()
        waited.append((call(guarded), time.monotonic() - started))
    gate.set()
    for thread in threads:
        thread.join()
    assert [outcome for outcome, _ in waited] == ["refused", "refused"]
    assert waited[0][1] == pytest.approx(0.2, abs=0.1)
    assert waited[1][1] < 0.1  # nothing has moved since
    assert call(guarded) == "done"


def test_many_go_through_few_places() -> None:
    guarded = breaker(patience_s=1.0)
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
