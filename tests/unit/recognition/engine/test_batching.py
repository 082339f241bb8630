"""The queue: batches, padding, order, rejection when full, deadlines."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from apps.common.errors import LunaError
from apps.recognition.engine.batching import Batcher
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.sessions import Tensor

SOON_S = 20.0


class Doubler:
    """A network that doubles its input, may be held back, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Semaphore(0)

    def __call__(self, network: str, tensor: Tensor) -> list[Tensor]:
        self.entered.release()
        assert self.go.wait(SOON_S)
        self.batches.append(len(tensor))
        if network == "broken":
            raise ValueError("broken network")
        return [tensor * 2, tensor.sum(axis=tuple(range(1, tensor.ndim)))]


@pytest.fixture
def network() -> Doubler:
    return Doubler()


Make = Callable[..., Batcher]


@pytest.fixture
def make(network: Doubler) -> Iterator[Make]:
    made: list[Batcher] = []

    def factory(sizes: tuple[int, ...] = (1, 4, 8), workers: int = 1, queue_rows: int = 100) -> Batcher:
        made.append(Batcher(network, {"a": sizes, "b": sizes, "broken": sizes}, workers=workers, queue_rows=queue_rows))
        return made[-1]

    yield factory
    network.go.set()
    for batcher in made:
        batcher.close()


def soon() -> float:
    return time.monotonic() + SOON_S


def rows(*values: float) -> Tensor:
    return np.array(values, np.float32)[:, None] * np.ones((1, 3), np.float32)


def test_a_lone_request_runs_in_one_batch_padded_to_a_declared_size(make: Make, network: Doubler) -> None:
    doubled, sums = make().run("a", rows(1, 2, 3), soon())
    np.testing.assert_array_equal(doubled, rows(2, 4, 6))
    np.testing.assert_array_equal(sums, [3, 6, 9])
    assert network.batches == [4]


def test_batches_go_through_the_memory_that_is_given(network: Doubler) -> None:
    memory = np.full((4, 3), 9, np.float32)
    seen: list[Tensor] = []

    def runner(name: str, tensor: Tensor) -> list[Tensor]:
        assert tensor.base is memory
        seen.append(tensor.copy())
        return network(name, tensor)

    batcher = Batcher(runner, {"a": (1, 4)}, workers=1, queue_rows=9, empty=lambda shape, dtype: memory[: shape[0]])
    for values in ((1, 2, 3), (4,), (5, 6, 7, 8)):
        np.testing.assert_array_equal(batcher.run("a", rows(*values), soon())[0], rows(*values) * 2)
    batcher.close()
    for batch, expected in zip(seen, [(1, 2, 3, 0), (4,), (5, 6, 7, 8)], strict=True):  # padded with nothing of before
        np.testing.assert_array_equal(batch, rows(*expected))


def test_a_large_request_is_split_and_put_together_in_order(make: Make, network: Doubler) -> None:
    values = np.arange(19, dtype=np.float32)
    doubled, _ = make(workers=3).run("a", rows(*values), soon())
    np.testing.assert_array_equal(doubled, rows(*(values * 2)))
    assert sorted(network.batches) == [4, 8, 8]


def test_with_batches_of_one_every_row_runs_alone(make: Make, network: Doubler) -> None:
    make(sizes=(1,), workers=2).run("a", rows(1, 2, 3), soon())
    assert network.batches == [1, 1, 1]


def test_requests_that_wait_for_one_network_are_joined(make: Make, network: Doubler) -> None:
    batcher = make()
    network.go.clear()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher.run, "a", rows(0), soon())
        network.entered.acquire()
        others = [pool.submit(batcher.run, name, rows(value, value), soon()) for value, name in enumerate("aabaa")]
        while batcher.waiting_rows < 10:
            time.sleep(0.001)
        network.go.set()
        np.testing.assert_array_equal(first.result()[0], rows(0))
        for value, other in enumerate(others):
            np.testing.assert_array_equal(other.result()[0], rows(value * 2, value * 2))
    assert sorted(network.batches) == [1, 4, 8]
    assert batcher.waiting_rows == 0


def test_a_full_queue_is_503(make: Make, network: Doubler) -> None:
    batcher = make(queue_rows=4)
    network.go.clear()
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(batcher.run, "a", rows(1), soon())
        network.entered.acquire()
        waiting = pool.submit(batcher.run, "a", rows(1, 2, 3), soon())
        while batcher.waiting_rows < 3:
            time.sleep(0.001)
        with pytest.raises(LunaError) as caught:
            batcher.run("a", rows(1, 2), soon())
        network.go.set()
        assert len(running.result()[0]) == 1
        assert len(waiting.result()[0]) == 3
    assert caught.value.code == 100035
    assert caught.value.status == 503
    assert caught.value.headers == {"Retry-After": "1"}


def test_what_waited_too_long_is_503_and_does_not_run(make: Make, network: Doubler) -> None:
    batcher = make()
    network.go.clear()
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(batcher.run, "a", rows(1), soon())
        network.entered.acquire()
        late = pool.submit(batcher.run, "a", rows(2), time.monotonic() + 0.05)
        time.sleep(0.1)
        network.go.set()
        running.result()
        with pytest.raises(LunaError) as caught:
            late.result()
    assert caught.value.code == 37001
    assert caught.value.status == 503
    assert network.batches == [1]


def test_an_error_of_a_network_reaches_its_callers_and_no_others(make: Make) -> None:
    batcher = make()
    with pytest.raises(ValueError, match="broken network"):
        batcher.run("broken", rows(*range(20)), soon())
    np.testing.assert_array_equal(batcher.run("a", rows(1), soon())[0], rows(2))


def test_close_refuses_what_waits_and_what_comes(make: Make, network: Doubler) -> None:
    batcher = make()
    network.go.clear()
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(batcher.run, "a", rows(1), soon())
        network.entered.acquire()
        waiting = pool.submit(batcher.run, "a", rows(2), soon())
        while not batcher.waiting_rows:
            time.sleep(0.001)
        closing = pool.submit(batcher.close)
        with pytest.raises(EngineError):
            waiting.result()
        network.go.set()
        closing.result()
        assert len(running.result()[0]) == 1
    with pytest.raises(EngineError):
        batcher.run("a", rows(1), soon())


def test_an_errand_is_done_once_in_every_worker(make: Make) -> None:
    batcher = make(workers=3)
    names: list[str] = []
    batcher.everywhere(lambda: names.append(threading.current_thread().name))
    assert sorted(names) == ["luna-engine-0", "luna-engine-1", "luna-engine-2"]
    with pytest.raises(ZeroDivisionError):
        batcher.everywhere(lambda: 1 / 0)
    np.testing.assert_array_equal(batcher.run("a", rows(1), soon())[0], rows(2))


def test_close_refuses_errands(make: Make, network: Doubler) -> None:
    batcher = make()
    network.go.clear()
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(batcher.run, "a", rows(1), soon())
        network.entered.acquire()
        errand = pool.submit(batcher.everywhere, network.go.wait)
        while not any(batcher._errands):
            time.sleep(0.001)
        closing = pool.submit(batcher.close)
        while not batcher._closed:
            time.sleep(0.001)
        network.go.set()
        with pytest.raises(EngineError, match="closed"):
            errand.result()
        closing.result()
        running.result()
    with pytest.raises(EngineError, match="closed"):
        batcher.everywhere(network.go.wait)


def test_inputs_of_other_shapes_are_not_joined(make: Make, network: Doubler) -> None:
    batcher = make(sizes=(1, 4))
    network.go.clear()
    tensors = [np.full((1, side), float(side)) for side in (2, 3, 3, 2, 3)]
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(batcher.run, "b", np.zeros((1, 1)), soon())
        assert network.entered.acquire(timeout=SOON_S)  # the worker is busy, the others gather
        waiting = [pool.submit(batcher.run, "a", tensor, soon()) for tensor in tensors]
        while batcher.waiting_rows < len(tensors):
            time.sleep(0.001)
        network.go.set()
        first.result(SOON_S)
        for tensor, future in zip(tensors, waiting, strict=True):
            np.testing.assert_array_equal(future.result(SOON_S)[0], tensor * 2)
    assert sorted(network.batches) == [1, 4, 4]  # three of one shape and two of the other, padded
