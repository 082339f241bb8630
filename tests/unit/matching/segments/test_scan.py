"""Scans of codes beside a comparison of all floats: nothing that belongs to the answer may be missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from apps.matching.segments import codes as codes_module
from apps.matching.segments import scan as scan_module
from apps.matching.segments.codes import Basis, Floats, basis_of, encode
from apps.matching.segments.scan import Rows, Segment, proposals

NOTHING = np.empty(0, np.int64), np.empty((0, 0), np.float32)
MAX_PAIRS = 150  # of a vector
NONE = np.empty(0, np.intp)


def unit(vectors: NDArray[np.floating]) -> Floats:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def decaying(count: int, dimension: int, seed: int, decay: float = 0.8) -> Floats:
    """Unit vectors whose components shrink, as those of descriptors along their principal components do."""
    random = np.random.default_rng(seed)
    spread = (np.arange(dimension) + 4.0) ** -decay
    rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((dimension, dimension)))
    return unit(random.standard_normal((count, dimension)) * spread @ rotation.T)


def segment_of(vectors: Floats, basis: Basis | None = None, first_key: int = 100) -> Segment:
    basis = basis or Basis(vectors.shape[1])
    rows = encode(vectors, basis)
    keys = np.arange(first_key, first_key + 3 * len(vectors), 3, dtype=np.int64)
    return Segment(basis, keys, rows.codes, rows.head, rows.scale, rows.residual, rows.tail)


def nearest(keys: NDArray[np.int64], rows: Floats, vector: Floats, limit: int, threshold: float) -> list[int]:
    """The keys of the answer by float32 sums, as PostgreSQL adds them up, ties by key."""
    cosines = np.array([np.dot(row, vector) for row in rows])
    order = np.lexsort((keys, -cosines))
    return [int(keys[place]) for place in order[:limit] if cosines[place] >= threshold]


def check(
    rows: Floats, vectors: Floats, limit: int, threshold: float, basis: Basis | None = None, dead: int = 0
) -> list[int]:
    """Compare with all floats; the number of proposals of each vector."""
    segment = segment_of(rows, basis)
    without = np.arange(0, len(rows), max(1, len(rows) // dead), dtype=np.intp) if dead else NONE
    alive = np.setdiff1d(np.arange(len(rows)), without)
    found = proposals([(segment, without, None)], NOTHING, vectors, limit, threshold)
    for vector, (keys, _) in zip(vectors, found, strict=True):
        expected = nearest(segment.keys[alive], rows[alive], vector, limit, threshold)
        assert set(expected) <= set(keys.tolist())
        assert not set(segment.keys[without].tolist()) & set(keys.tolist())
    return [len(each.keys) for each in found]


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 6000),
    dimension=st.sampled_from((1, 7, 64, 128, 512)),
    vectors=st.integers(1, 5),
    limit=st.integers(1, 120),
    threshold=st.sampled_from((-1.000001, 0.0, 0.2, 0.5, 0.99)),
    dead=st.integers(0, 50),
    seed=st.integers(0, 2**32 - 1),
)
def test_contains_the_answer(
    count: int, dimension: int, vectors: int, limit: int, threshold: float, dead: int, seed: int
) -> None:
    rows = decaying(min(count, 1_000_000 // dimension), dimension, seed)
    random = np.random.default_rng(seed + 1)
    near = rows[random.integers(0, len(rows), vectors)]
    asked = unit(near + random.standard_normal(near.shape) * random.choice([0.0, 0.01, 0.1, 1.0]))
    check(rows, asked, limit, threshold, dead=min(dead, len(rows)))


@pytest.fixture(scope="module")
def large() -> tuple[Floats, Basis]:
    rows = decaying(70_000, 256, 3)
    basis = basis_of(rows[:25_000], len(rows))
    assert basis.head == 80
    return rows, basis


@pytest.mark.parametrize("threshold", [-1.000001, 0.3, 0.6])
@pytest.mark.parametrize("vectors", [1, 7])
def test_principal_components(large: tuple[Floats, Basis], vectors: int, threshold: float) -> None:
    rows, basis = large
    asked = unit(rows[::9000][:vectors] + 0.02 * np.random.default_rng(4).standard_normal((vectors, 256)))
    assert max(check(rows, asked, 20, threshold, basis, dead=30)) < 2000


@pytest.mark.parametrize("columns", [1, 16])
def test_products_are_exact(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folded rows give the same products on every processor."""
    monkeypatch.setattr(scan_module, "TILE_COLUMNS", columns)
    random = np.random.default_rng(0)
    for rows, vectors, dimension in ((1, 1, 512), (16, 1, 7), (1003, 1, 128), (100, 5, 64), (33, 16, 32), (50, 30, 1)):
        left = random.integers(-127, 128, (rows, dimension), dtype=np.int8)
        right = random.integers(-127, 128, (vectors, dimension), dtype=np.int8)
        found = scan_module.Multiplier.of(right).products(left)
        assert (found == left.astype(np.int64) @ right.T.astype(np.int64)).all()


def test_products_bound_cosines(large: tuple[Floats, Basis]) -> None:
    rows, basis = large
    segment, vectors = segment_of(rows[:5000], basis), rows[::9000]
    query = scan_module.query_of(basis, vectors)
    terms = np.stack((np.ones(5000), segment.residual, segment.tail), axis=1).astype(np.float64)
    cosines = rows[:5000].astype(np.float64) @ vectors.T
    for codes, multiplier, step, slack, mean in (
        (segment.codes, query.codes, query.step, query.slack, 0.035),
        (segment.head, query.head_codes, query.head_step, query.head_slack, 0.15),
    ):
        found = multiplier.products(codes) * segment.scale[:, None].astype(np.float64) * step
        bounds = terms @ slack
        assert (np.abs(cosines - found) <= bounds).all()
        assert bounds.mean() < mean


def test_few_rows_pass_the_first_bound(large: tuple[Floats, Basis], monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound of the whole ‖q − q̂‖ and one residual for all rows of a block let three times as many pass."""
    rows, basis = large
    pairs: list[int] = []
    refine = scan_module.refine

    def counted(segment: Segment, wide: Floats, best: scan_module.Best, found: Rows, places: Rows) -> None:
        pairs.append(len(found))
        refine(segment, wide, best, found, places)

    monkeypatch.setattr(scan_module, "refine", counted)
    proposals([(segment_of(rows, basis), NONE, None)], NOTHING, rows[::5000], 5, -1.0)
    assert 14 * 5 <= sum(pairs) < 14 * MAX_PAIRS


def test_coordinates_keep_distances(large: tuple[Floats, Basis]) -> None:
    rows, basis = large
    assert basis.rotation is not None
    assert np.abs(basis.rotation @ basis.rotation.T - np.eye(256)).max() < 1e-6
    coded = encode(rows[:500], basis)
    decoded = coded.codes * coded.scale[:, None] / basis.weights()
    errors = np.linalg.norm(basis.rotated(rows[:500]) - decoded, axis=1)
    assert (errors <= coded.residual).all()
    assert coded.residual.max() < 0.02


def test_equal_descriptors_are_all_proposed() -> None:
    rows = np.repeat(decaying(1, 64, 5), 6000, axis=0)
    assert check(rows, rows[:1], 3, -1.0) == [6000]


def test_vectors_of_extreme_shape() -> None:
    rows = np.eye(64, dtype=np.float32)
    rows = np.concatenate((rows, -rows, unit(np.full((1, 64), 1e-20, np.float64))))
    for limit in (1, 5, 129, 500):
        check(rows, np.concatenate((rows[:3], -rows[:1])), limit, -1.000001)


def test_only_some_rows(large: tuple[Floats, Basis]) -> None:
    rows, basis = large
    segment = segment_of(rows, basis)
    for step in (1, 2, 10, 1000, 60_000):
        only = np.arange(0, len(rows), step, dtype=np.intp)
        ((keys, _),) = proposals([(segment, only[:5], only)], NOTHING, rows[7:8], 20, -1.0)
        expected = nearest(segment.keys[only[5:]], rows[only[5:]], rows[7], 20, -1.0)
        assert set(expected) <= set(keys.tolist()) <= set(segment.keys[only[5:]].tolist())


def test_segments_and_loose_rows_share_the_bounds() -> None:
    rows = decaying(6000, 128, 8)
    parts = [segment_of(rows[:3000]), segment_of(rows[3000:5000], first_key=50_000)]
    loose = np.arange(90_000, 91_000, dtype=np.int64), rows[5000:]
    ((keys, _),) = proposals([(part, NONE, None) for part in parts], loose, rows[5500:5501], 10, -1.0)
    every = np.concatenate((parts[0].keys, parts[1].keys, loose[0]))
    assert set(nearest(every, rows, rows[5500], 10, -1.0)) <= set(keys.tolist())
    assert len(keys) < 200


def test_a_wrong_bound_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without residuals the scan loses neighbours: the comparison above can fail."""
    monkeypatch.setattr(codes_module, "_up", lambda norms: np.full(len(norms), -0.05, np.float32))
    rows = [decaying(5000, 64, seed) for seed in range(20)]
    with pytest.raises(AssertionError):
        [check(each, decaying(4, 64, seed), 50, -1.0) for seed, each in enumerate(rows, start=100)]
