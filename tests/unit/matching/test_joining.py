"""Joined searches: batches of waiting requests, errors, slots that are never lost."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.matching.engine.joining import Joiner

Batches = list[list[int]]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def joiner_of(at_once: int = 1, batch: int = 4, max_size: int = 100) -> "Joiner[int, int]":
    return Joiner(at_once=lambda: at_once, batch=lambda: batch, max_size=max_size)


def held(batches: Batches, first: threading.Event) -> Callable[[Sequence[int]], list[int]]:
    """A function that keeps its first batch until `first` is set."""

    def run(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        if len(batches) == 1:
            first.wait(10)
        return [item * 2 for item in items]

    return run


def queued(joiner: "Joiner[int, int]", count: int) -> None:
    deadline = time.monotonic() + 10
    while len(joiner._queue) < count and time.monotonic() < deadline:
        time.sleep(0.001)
    assert len(joiner._queue) == count


def test_an_idle_joiner_runs_at_once() -> None:
    batches: Batches = []
    first = threading.Event()
    first.set()
    assert joiner_of()("list", 3, size=1, run=held(batches, first)) == 6
    assert batches == [[3]]


def test_waiting_requests_of_one_key_run_together(pool: ThreadPoolExecutor) -> None:
    joiner, batches, first = joiner_of(), list[list[int]](), threading.Event()
    run = held(batches, first)
    results = []
    for number, key in enumerate(["a", "a", "b", "a", "a", "a", "a", "b"]):
        results.append(pool.submit(joiner, key, number, size=1, run=run))
        if number == 0:
            while not batches:
                time.sleep(0.001)
        else:
            queued(joiner, number)
    first.set()
    assert [result.result(10) for result in results] == [number * 2 for number in range(8)]
    assert batches == [[0], [1, 3, 4, 5], [2, 7], [6]]
    assert (joiner.items, joiner.batches) == (8, 4)


def test_the_size_of_a_batch_is_bounded(pool: ThreadPoolExecutor) -> None:
    joiner, batches, first = joiner_of(max_size=5), list[list[int]](), threading.Event()
    run = held(batches, first)
    results = [pool.submit(joiner, "a", 0, size=9, run=run)]
    while not batches:
        time.sleep(0.001)
    for place, size in enumerate((3, 3, 2, 30)):
        results.append(pool.submit(joiner, "a", place + 1, size=size, run=run))
        queued(joiner, place + 1)
    first.set()
    assert [result.result(10) for result in results] == [0, 2, 4, 6, 8]
    assert batches == [[0], [1, 3], [2], [4]]


def test_an_error_reaches_its_batch_alone(pool: ThreadPoolExecutor) -> None:
    joiner, batches, first = joiner_of(), list[list[int]](), threading.Event()
    run = held(batches, first)

    def fail(items: Sequence[int]) -> list[int]:
        raise LookupError("away")

    before = pool.submit(joiner, "a", 1, size=1, run=run)
    while not batches:
        time.sleep(0.001)
    failing = []
    for place in range(2):
        failing.append(pool.submit(joiner, "b", place, size=1, run=fail))
        queued(joiner, place + 1)
    after = pool.submit(joiner, "a", 4, size=1, run=run)
    queued(joiner, 3)
    first.set()
    assert (before.result(10), after.result(10)) == (2, 8)
    for each in failing:
        with pytest.raises(LookupError, match="away"):
            each.result(10)
    assert joiner("a", 5, size=1, run=run) == 10


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_request_is_lost_under_load(at_once: int) -> None:
    joiner = joiner_of(at_once)
    running = [0]
    most = [0]
    lock = threading.Lock()

    def run(items: Sequence[int]) -> list[int]:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.0002)
        with lock:
            running[0] -= 1
        return [item + 1 for item in items]

    def client(seed: int) -> bool:
        return all(joiner(number % 3, number, size=1, run=run) == number + 1 for number in range(seed, seed + 150))

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(client, range(12), timeout=60))
    assert most[0] <= at_once
    assert joiner.items == 12 * 150 > joiner.batches
    assert (joiner._running, joiner._queue) == (0, [])
