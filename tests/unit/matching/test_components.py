"""Connected components of pairs above a threshold, against a plain float64 comparison."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from apps.common.descriptors import Vector
from apps.matching.engine import components as engine
from apps.matching.engine.components import CodedVectors, Components, connect, cosines_of, units
from tests.factories import unit_vectors


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STRIPE_ROWS", 16)
    monkeypatch.setattr(engine, "TILE_ROWS", 8)
    monkeypatch.setattr(engine, "TILE_COLUMNS", 4)
    monkeypatch.setattr(engine, "DECIDED_PAIRS", 5)


def coded(vectors: Vector) -> CodedVectors:
    return CodedVectors.of(vectors, np.empty(vectors.shape, np.int8), lambda: None)


def found(vectors: Vector, threshold: float, threads: int = 2) -> list[int]:
    components = Components(len(vectors))
    done = list(connect(coded(vectors), components, threshold, start=0, check=lambda: None, threads=threads))
    assert done == list(range(1, len(units(len(vectors))) + 1))
    return components.labels().tolist()


def expected(vectors: Vector, threshold: float) -> list[int]:
    """The smallest place of each row's component: labels spread along pairs until they rest."""
    wide = vectors.astype(np.float64)
    near = np.clip(np.einsum("id,jd->ij", wide, wide), -1, 1) > threshold
    np.fill_diagonal(near, True)
    labels = np.arange(len(vectors))
    while True:
        spread = np.where(near, labels, len(vectors)).min(axis=1, initial=len(vectors))
        if np.array_equal(spread, labels):
            return labels.tolist()
        labels = spread


def people(count: int, pictures: int, dimension: int, noise: float, seed: int = 0) -> Vector:
    """Several pictures of each person, in random order."""
    random = np.random.default_rng(seed)
    centres = np.repeat(unit_vectors(count, dimension, seed), pictures, axis=0)
    vectors = centres + noise * random.standard_normal(centres.shape) / dimension**0.5
    return random.permutation(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.3, 0.45, 0.6, 0.8, 0.95, 1.0])
def test_components_of_people(threshold: float) -> None:
    vectors = people(30, 5, 24, 0.8)
    assert found(vectors, threshold) == expected(vectors, threshold)


def test_components_in_blocks_of_the_platform() -> None:
    vectors = people(1500, 3, 32, 0.6, seed=1)
    assert len(vectors) > engine.STRIPE_ROWS
    for threshold in (0.55, 0.75):
        assert found(vectors, threshold) == expected(vectors, threshold)


@pytest.mark.usefixtures("small_blocks")
@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 40),
    st.integers(1, 6),
    st.floats(-1, 1),
    st.integers(0, 2**31),
    st.integers(1, 3),
)
def test_components_of_random_sets(count: int, dimension: int, threshold: float, seed: int, threads: int) -> None:
    vectors = unit_vectors(count, dimension, seed)
    assert found(vectors, threshold, threads) == expected(vectors, threshold)


@pytest.mark.usefixtures("small_blocks")
def test_thresholds_between_the_cosines_of_pairs_decide_exactly() -> None:
    """Codes are off by far more than the distance to the threshold; equal to the threshold is not above it."""
    vectors = people(4, 8, 24, 0.5, seed=2)
    wide = vectors.astype(np.float64)
    cosines = np.unique(np.clip(np.einsum("id,jd->ij", wide, wide), -1, 1))
    for cosine in cosines[:: len(cosines) // 40]:
        for threshold in (cosine, np.nextafter(cosine, -1)):
            assert found(vectors, threshold) == expected(vectors, threshold)


def test_equal_vectors_and_exact_right_angles() -> None:
    vectors = np.eye(4, dtype=np.float32)[[0, 1, 0, 2, 1, 3]]
    assert found(vectors, 0.999) == [0, 1, 0, 3, 1, 5]
    assert found(vectors, 0.0) == [0, 1, 0, 3, 1, 5]  # right angles are not above 0
    assert found(vectors, np.nextafter(0, -1)) == [0] * 6
    assert found(vectors, 1.0) == list(range(6))


def test_chain_is_one_component() -> None:
    angles = np.random.default_rng(3).permutation(np.arange(300) * 0.01)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert found(vectors, float(np.cos(0.0101))) == [0] * 300
    assert found(vectors, float(np.cos(0.0099))) == list(range(300))


def test_outliers_of_codes_lose_no_pair() -> None:
    """A row with one large number makes the codes of its stripe coarse."""
    vectors = people(40, 2, 64, 0.7, seed=4)
    vectors[7] = np.eye(64, dtype=np.float32)[0]
    assert found(vectors, 0.6) == expected(vectors, 0.6)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("stop", [1, 5, 11, 20])
def test_continues_from_a_unit(stop: int) -> None:
    vectors = people(30, 3, 24, 0.8, seed=5)
    rows, first = coded(vectors), Components(len(vectors))
    work = connect(rows, first, 0.6, start=0, check=lambda: None)
    done = [next(work) for _ in range(stop)][-1]
    parents = first.parents.tobytes()
    work.close()
    second = Components(len(vectors), parents)
    list(connect(rows, second, 0.6, start=done, check=lambda: None))
    assert second.labels().tolist() == expected(vectors, 0.6)


def test_joins_from_several_threads() -> None:
    components = Components(2000)

    def join(seed: int) -> None:
        for at in np.random.default_rng(seed).permutation(1999):
            components.join(np.array([at]), np.array([at + 1]))

    threads = [threading.Thread(target=join, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert components.labels().tolist() == [0] * 2000


def test_star_and_reverse_chain() -> None:
    components = Components(50)
    components.join(np.full(49, 49), np.arange(49))
    assert set(components.labels()) == {0}
    components = Components(50)
    components.join(np.arange(1, 50), np.arange(49))
    assert set(components.labels()) == {0}


def test_error_of_check_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(BaseException):
        pass

    def checks() -> Iterator[None]:
        yield
        yield
        raise Stop

    calls = checks()
    vectors = unit_vectors(9000, 16)
    with pytest.raises(Stop):
        list(connect(coded(vectors), Components(9000), 0.5, start=0, check=lambda: next(calls)))


def test_error_of_a_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> NDArray[np.float64]:
        raise MemoryError

    monkeypatch.setattr(engine, "cosines_of", broken)
    vectors = people(50, 4, 24, 0.8, seed=6)
    with pytest.raises(MemoryError):
        found(vectors, 0.6)


def test_checks_while_a_unit_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHECK_S", 0.02)
    monkeypatch.setattr(engine._Comparison, "unit", lambda *_: time.sleep(0.2))
    calls: list[float] = []
    list(connect(coded(unit_vectors(5, 4)), Components(5), 0.5, start=0, check=lambda: calls.append(time.monotonic())))
    assert len(calls) >= 5


def test_cosines_are_at_most_one() -> None:
    vectors = np.full((2, 3), 0.5773503, np.float32)
    assert cosines_of(vectors, np.array([0]), np.array([1])).tolist() == [1.0]
