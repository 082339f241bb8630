"""Scans on a device beside a comparison of all floats. The device is ONNX Runtime's CPU, with `-m gpu` also CUDA."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from apps.matching.config import Precision
from apps.matching.engine import cached
from apps.matching.engine.cached import service
from apps.matching.segments import codes as codes_module
from apps.matching.segments import device as device_module
from apps.matching.segments.codes import Basis, Floats, basis_of
from apps.matching.segments.device import DeviceScan, MatchingDevice
from apps.matching.segments.scan import Rows, Segment, proposals
from tests.factories import unit_vectors
from tests.unit.matching.segments.conftest import DIMENSION, Cached
from tests.unit.matching.segments.test_scan import NONE, NOTHING, decaying, nearest, segment_of, unit
from tests.unit.recognition.engine.devices import needs_gpu

PRECISIONS: tuple[Precision, ...] = ("int8", "fp16")
on_both = pytest.mark.parametrize("name", ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, needs_gpu])])


def device_of(precision: Precision, name: str = "cpu", **options: Any) -> MatchingDevice:
    return MatchingDevice(name, precision, **{"memory_limit": 2**40, "min_rows": 1} | options)


shared = cache(device_of)


def check(
    device: MatchingDevice,
    segment: Segment,
    rows: Floats,
    vectors: Floats,
    limit: int,
    threshold: float,
    *,
    dead: Rows = NONE,
    later: Rows = NONE,
    only: Rows | None = None,
) -> None:
    """Compare with all floats. `dead`: rows that were removed before the copy, `later`: after it."""
    without = np.union1d(dead, later).astype(np.intp)
    scan = device.scan_of([segment], [dead])
    found = proposals([(segment, without, only)], NOTHING, vectors, limit, threshold, scan)
    alive = np.setdiff1d(np.arange(len(rows)) if only is None else only, without)
    for vector, (keys, _) in zip(vectors, found, strict=True):
        expected = nearest(segment.keys[alive], rows[alive], vector, limit, threshold)
        assert set(expected) <= set(keys.tolist()) <= set(segment.keys[alive].tolist())


@on_both
@settings(max_examples=25, deadline=None)
@given(
    precision=st.sampled_from(PRECISIONS),
    count=st.integers(1, 3000),
    dimension=st.sampled_from((1, 7, 64, 128, 512)),
    vectors=st.integers(1, 5),
    limit=st.integers(1, 120),
    threshold=st.sampled_from((-1.000001, 0.0, 0.2, 0.5, 0.99)),
    gone=st.tuples(st.integers(0, 200), st.integers(0, 20)),
    share=st.sampled_from((None, 0.0, 0.01, 0.3, 1.0)),
    seed=st.integers(0, 2**32 - 1),
)
def test_contains_the_answer(
    name: str,
    precision: Precision,
    count: int,
    dimension: int,
    vectors: int,
    limit: int,
    threshold: float,
    gone: tuple[int, int],
    share: float | None,
    seed: int,
) -> None:
    rows = decaying(min(count, 400_000 // dimension), dimension, seed)
    random = np.random.default_rng(seed + 1)
    near = rows[random.integers(0, len(rows), vectors)]
    asked = unit(near + random.standard_normal(near.shape) * random.choice([0.0, 0.01, 0.1, 1.0]))
    dead, later = (np.unique(random.integers(0, len(rows), each)).astype(np.intp) for each in gone)
    only = None if share is None else np.flatnonzero(random.random(len(rows)) < share)
    device = shared(precision, name)
    check(device, segment_of(rows), rows, asked, limit, threshold, dead=dead, later=later, only=only)
    assert not device.counts["failed"]


@pytest.fixture(scope="module")
def large() -> tuple[Floats, Basis]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes_module, "MIN_ROWS_OF_HEAD", 3000)
        rows = decaying(6000, 256, 7)
        basis = basis_of(rows, len(rows))
    assert basis.rotation is not None
    return rows, basis


@on_both
@pytest.mark.parametrize("precision", PRECISIONS)
def test_coordinates_of_principal_components(name: str, precision: Precision, large: tuple[Floats, Basis]) -> None:
    rows, basis = large
    device = device_of(precision, name)
    check(device, segment_of(rows, basis), rows, decaying(5, 256, 8), 20, -1.0)
    assert device.counts["proven"] == 1
    assert not device.counts["failed"]


@on_both
@pytest.mark.parametrize("precision", PRECISIONS)
def test_more_rows_until_the_proof_holds(
    name: str, precision: Precision, large: tuple[Floats, Basis], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, basis = large
    equal = rows.copy()
    equal[100:400] = rows[100]  # more equal rows than the device returns first
    device = device_of(precision, name)
    check(device, segment_of(equal, basis), equal, rows[100:102], 5, -1.0)
    assert (device.counts["widened"], device.counts["proven"]) == (2, 1)
    monkeypatch.setattr(device_module, "MOST", 32)
    check(device, segment_of(equal, basis), equal, rows[100:102], 5, -1.0)
    assert device.counts["unproven"] == 1  # and the CPU has scanned


def test_many_vectors_are_scanned_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = decaying(500, 64, 1)
    monkeypatch.setattr(device_module, "PRODUCTS_AT_ONCE", 1200)
    device = device_of("int8")
    check(device, segment_of(rows), rows, rows[:5], 5, -1.0)
    assert device.counts == {"proven": 3}


def test_segments_that_do_not_fit_remain_on_the_cpu() -> None:
    rows = decaying(300, 64, 2)
    first, second, small = segment_of(rows), segment_of(rows), segment_of(rows[:50])
    device = device_of("int8", memory_limit=320 * 68, min_rows=100)
    scan: Any = device.scan_of([first, second, small], [NONE] * 3)
    assert list(scan.placed) == [first]
    assert scan.missing == 320 * 68
    assert not scan.can_grow
    check(device, second, rows, rows[:2], 5, -1.0)
    assert not device.counts
    assert device.scan_of([first, second, small], [NONE] * 3, scan) is scan
    held = device.status()
    assert (held["device_segments"], held["device_bytes"]) == (1, 320 * 68)
    del scan, first
    assert device.free_bytes == 320 * 68  # a dropped segment leaves the memory
    check(device, second, rows, rows[:2], 5, -1.0)
    assert device.counts == {"proven": 1}


def test_a_fault_leaves_the_search_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = decaying(300, 64, 3)
    segment, device = segment_of(rows), device_of("int8")
    scan = device.scan_of([segment], [NONE])

    def fail(*arguments: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(MatchingDevice, "highest", fail)
    expected = nearest(segment.keys, rows, rows[0], 5, -1.0)
    for _ in range(2):  # the second one does not try
        (found,) = proposals([(segment, NONE, None)], NOTHING, rows[:1], 5, -1.0, scan)
        assert set(expected) <= set(found.keys.tolist())
    assert device.counts == {"failed": 1}


@pytest.mark.parametrize("wrong", [0.99, 1.02])
def test_a_device_that_computes_otherwise_is_not_used(wrong: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = decaying(300, 64, 4)
    device = device_of("int8")
    highest = MatchingDevice.highest

    def off(*arguments: Any) -> tuple[NDArray[np.float64], Rows, NDArray[np.float64]]:
        bounds, found, left = highest(*arguments)
        return bounds * wrong, found, left

    monkeypatch.setattr(MatchingDevice, "highest", off)
    scan: Any = device.scan_of([segment_of(rows)], [NONE])
    assert not scan.placed
    assert device.paused
    assert device.counts == {"failed": 1}


@pytest.fixture(params=PRECISIONS)
def on_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "_device", lambda: device_of(request.param))


def test_answers_of_lists_are_those_of_the_database(on_device: None, filled: Cached) -> None:
    """`filled`: 300 faces; then an appended tail, tombstones, replaced descriptors and filters."""
    vectors = unit_vectors(6, DIMENSION, 77)
    device: Any = service().copies.device
    filled.check(vectors, limit=7)
    filled.check(vectors, limit=3, threshold=0.3)
    assert device.counts["proven"] >= 2
    fresh = filled.add(unit_vectors(10, DIMENSION, 78), user_data="fresh")
    filled.check(vectors, limit=7)
    filled.build(later_s=100)  # a second segment
    (copy,) = service().copies.all()
    assert isinstance(copy.scan, DeviceScan)
    assert len(copy.scan.placed) == len(copy.segments) == 2
    filled.replace(fresh[0], vectors[0])
    filled.check(vectors, limit=310)
    filled.check(vectors, limit=5, user_data="fresh", memory=None)
    filled.build(later_s=100)
    filled.check(vectors, limit=7)
    assert not device.counts["failed"]
