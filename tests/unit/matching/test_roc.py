"""ROC curves against plain comparisons of every pair."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.common.descriptors import Calibration
from apps.matching.engine import roc
from apps.matching.engine.roc import STEPS, Curve, PairCounts, codes_of, row_blocks
from apps.recognition.calibration import Pairs
from tests.factories import unit_vectors

CALIBRATION = Calibration(((-1.0, 0.0), (0.0, 0.2), (0.4, 0.9), (1.0, 1.0)))


def counted(vectors: Any, labels: Any, limit: int = 3, threshold: float = 0.0, rows: int = 8) -> PairCounts:
    counts = PairCounts.empty(limit)
    for start in range(0, len(labels), rows):
        block = range(start, min(start + rows, len(labels)))
        counts.add(vectors.astype(np.float64), codes_of(labels), block, CALIBRATION, threshold)
    return counts


def pairs_of(vectors: Any, labels: Any) -> tuple[list[float], list[float]]:
    """Rounded similarities of positive and of negative pairs."""
    positive: list[float] = []
    negative: list[float] = []
    for one, other in itertools.combinations(range(len(labels)), 2):
        cosine = float(vectors[one].astype(np.float64) @ vectors[other].astype(np.float64))
        similarity = round(CALIBRATION.similarity(cosine) * STEPS) / STEPS
        (positive if labels[one] == labels[other] else negative).append(similarity)
    return positive, negative


def rate(values: list[float], threshold: float) -> float:
    return sum(value >= threshold for value in values) / len(values)


def people(count: int, each: int, seed: int, noise: float) -> tuple[Any, list[int]]:
    """Vectors of `count` people, `each` of one person, which differ by noise; some are equal."""
    random = np.random.default_rng(seed)
    vectors = np.repeat(unit_vectors(count, 8, seed), each, axis=0)
    vectors += random.standard_normal(vectors.shape) * noise
    vectors[1] = vectors[-1]  # equal vectors of different people
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = random.permutation(len(vectors))
    return vectors[order].astype(np.float32), [int(each) for each in np.repeat(np.arange(count), each)[order]]


@given(
    count=st.integers(2, 7),
    each=st.integers(2, 4),
    noise=st.sampled_from([0.0, 0.1, 0.5, 3.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=20, deadline=None, derandomize=True)
def test_rates_equal_a_plain_comparison(count: int, each: int, noise: float, seed: int) -> None:
    vectors, labels = people(count, each, seed, noise)
    positive, negative = pairs_of(vectors, labels)
    counts = counted(vectors, labels)
    assert (counts.positives, counts.negatives) == (len(positive), len(negative))
    curve = Curve.of(counts)
    assert curve is not None
    wins = sum((p > n) + (p == n) / 2 for p in positive for n in negative)
    assert curve.auc == pytest.approx(wins / len(positive) / len(negative), abs=1e-12)
    assert curve.auc == pytest.approx(Pairs(np.sort(positive), np.sort(negative)).auc, abs=1e-12)
    points = list(curve.points())
    assert [points[0].threshold, points[0].fpr, points[0].tpr] == [None, 0, 0]
    assert (points[-1].fpr, points[-1].tpr) == (1, 1)
    thresholds = sorted({*positive, *negative}, reverse=True)
    assert [point.threshold for point in points[1:]] == thresholds
    for point in points[1:]:
        assert (point.fpr, point.tpr) == (rate(negative, point.threshold or 0), rate(positive, point.threshold or 0))


@given(seed=st.integers(0, 1000), noise=st.sampled_from([0.1, 0.5, 3.0]))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_key_points_and_equal_errors(seed: int, noise: float) -> None:
    vectors, labels = people(5, 3, seed, noise)
    positive, negative = pairs_of(vectors, labels)
    curve = Curve.of(counted(vectors, labels))
    assert curve is not None
    rates = [(0.0, 0.0, 2.0)]
    rates += [(rate(negative, each), rate(positive, each), each) for each in sorted({*positive, *negative})[::-1]]
    for key in (0.0, 0.01, 0.1, 0.5, 1.0):
        point = curve.key_point(key)
        fpr, tpr, threshold = max((each for each in rates if each[0] <= key), key=lambda each: (each[1], each[0]))
        assert (point.tpr, point.fpr <= key) == (tpr, True)
        assert point.fpr >= fpr
        assert (point.threshold or 2.0) <= threshold
    equal = curve.equal_errors()
    assert equal.fpr == pytest.approx(1 - equal.tpr, abs=1e-12)
    before, after = next(
        (one, other) for one, other in itertools.pairwise(rates) if one[0] < 1 - one[1] and other[0] >= 1 - other[1]
    )
    assert equal.threshold == after[2]
    along = [before[0] + share * (after[0] - before[0]) for share in np.linspace(0, 1, 100_001)]
    misses = [1 - before[1] - share * (after[1] - before[1]) for share in np.linspace(0, 1, 100_001)]
    at = int(np.argmin(np.abs(np.array(along) - misses)))
    assert equal.fpr == pytest.approx(along[at], abs=1e-4)


@given(seed=st.integers(0, 1000), threshold=st.sampled_from([0.0, 0.5, 0.9]))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_hits_into_the_top(seed: int, threshold: float) -> None:
    vectors, labels = people(5, 2, seed, 0.4)
    labels[0] = 99  # an object without a mate, and its former mate
    counts = counted(vectors, labels, limit=4, threshold=threshold, rows=4)
    mates = {at: [o for o in range(10) if o != at and labels[o] == labels[at]] for at in range(10)}
    references = [at for at in range(10) if mates[at]]
    assert counts.references == len(references) == 8
    cosines = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    for top, probability in enumerate(counts.hit_probabilities() or [], 1):
        hits = 0
        for at in references:
            others = [o for o in range(10) if o != at and CALIBRATION.similarity(cosines[at, o]) >= threshold]
            # strangers that are as similar as a mate go first
            ranked = sorted(others, key=lambda o, at=at: (-round(cosines[at, o], 9), o in mates[at]))  # type: ignore[misc]
            hits += any(o in mates[at] for o in ranked[:top])
        assert probability == hits / len(references)


def test_perfect_separation() -> None:
    vectors = np.repeat(np.eye(8, dtype=np.float32)[:4], 2, axis=0)
    curve = Curve.of(counted(vectors, [0, 0, 1, 1, 2, 2, 3, 3]))
    assert curve is not None
    assert curve.auc == 1
    assert (curve.equal_errors().fpr, curve.equal_errors().threshold) == (0, 1.0)
    assert curve.key_point(0.0).tpr == 1


def test_nothing_to_compare() -> None:
    vectors = unit_vectors(3, 8)
    for labels in ([0, 0, 0], [0, 1, 2]):
        counts = counted(vectors, labels)
        assert Curve.of(counts) is None
        assert (counts.hit_probabilities() is None) == (labels == [0, 1, 2])
    assert Curve.of(counted(vectors[:1], [0])) is None


def test_a_curve_of_many_points_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = people(60, 4, 1, 0.6)
    counts = counted(vectors, labels, rows=100)
    curve = Curve.of(counts)
    assert curve is not None
    assert len(curve.steps) > 10_000
    points = list(curve.points())
    assert 500 < len(points) <= 1002
    assert all(
        (curve.point(int(np.searchsorted(-curve.steps, -round((p.threshold or 2) * STEPS))))) == p for p in points[1:]
    )
    gaps = [other.fpr + other.tpr - one.fpr - one.tpr for one, other in itertools.pairwise(points)]
    assert max(gaps) < 0.01
    assert len({point.fpr for point in points if point.fpr < 0.001}) > 10


def test_counts_are_stored_whole() -> None:
    vectors, labels = people(4, 3, 2, 0.5)
    counts = counted(vectors, labels, limit=7)
    same = PairCounts.unpacked(counts.packed(), 7)
    for name in ("positive", "negative", "hits"):
        assert (getattr(same, name) == getattr(counts, name)).all()
    assert same.references == counts.references


def test_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roc, "BLOCK_PAIRS", 30)
    assert list(row_blocks(10, 4)) == [range(4, 7), range(7, 10)]
    assert list(row_blocks(100, 98)) == [range(98, 99), range(99, 100)]
    assert list(row_blocks(0, 0)) == []


def test_labels() -> None:
    assert codes_of(["a", 1, "1", 1.0, "a"]).tolist() == [0, 1, 2, 1, 0]
