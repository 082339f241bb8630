"""Receiver operating characteristic of labelled vectors: all pairs are compared, and counted by similarity.

Similarities are rounded to `STEPS` steps, so that counts of pairs take the place of the pairs: memory does not depend
on their number, and every rate is exact for the rounded similarities. A threshold accepts similarities from it on.
Positive pairs have equal labels. TPR: share of the positive pairs that are accepted; FPR: of the negative ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from apps.common.descriptors import Calibration

STEPS = 1_000_000
BLOCK_PAIRS = 1_000_000  # 8 MB of cosines: about 60 ms
CURVE_POINTS = 500  # of each of two spacings
LEAST_FPR = 1e-7
EQUAL_COSINES = 1e-12  # sums of float64 in another order

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the curve. `threshold`: 0..1, None above all similarities."""

    threshold: float | None
    fpr: float
    tpr: float


@dataclass(slots=True, eq=False)
class PairCounts:
    """Pairs of the rows compared so far.

    `positive`, `negative`: by rounded similarity, int64 [STEPS + 1]. `hits`: references by the number of candidates of
    other labels that are as similar as the most similar one of their own label, or more, int64 [limit]; larger numbers
    are not counted. `references`: rows that have a candidate of their own label.
    """

    positive: Counts
    negative: Counts
    hits: Counts
    references: int = 0

    @classmethod
    def empty(cls, limit: int) -> Self:
        """Return counts without pairs. `limit`: the largest N of hits into the top N."""
        return cls(np.zeros(STEPS + 1, np.int64), np.zeros(STEPS + 1, np.int64), np.zeros(limit, np.int64))

    @classmethod
    def unpacked(cls, data: bytes, limit: int) -> Self:
        """Return the counts of `packed`."""
        values = np.frombuffer(data, np.int64)
        positive, negative, hits, references = np.split(values, np.cumsum([STEPS + 1, STEPS + 1, limit]))
        return cls(positive.copy(), negative.copy(), hits.copy(), int(references[0]))

    def packed(self) -> bytes:
        return b"".join(
            each.tobytes() for each in (self.positive, self.negative, self.hits, np.array([self.references], np.int64))
        )

    def add(
        self,
        vectors: NDArray[np.float64],
        labels: Counts,
        rows: range,
        calibration: Calibration,
        threshold_hit_top: float,
    ) -> None:
        """Compare rows with all unit vectors, float64 [n, d]. `labels`: int64 [n].

        A pair is counted with its first row. A hit has a similarity of at least `threshold_hit_top` (0..1).
        """
        inside = slice(rows.start, rows.stop)
        cosines = vectors[inside] @ vectors.T
        own = labels[inside, None] == labels
        places = np.arange(len(labels))
        steps = _similarity_steps(cosines, calibration)
        later = places > places[inside, None]
        self.positive += np.bincount(steps[own & later], minlength=STEPS + 1)
        self.negative += np.bincount(steps[~own & later], minlength=STEPS + 1)
        self._add_hits(cosines, own & (places != places[inside, None]), own, calibration.cosine(threshold_hit_top))

    def _add_hits(
        self, cosines: NDArray[np.float64], mates: NDArray[np.bool_], own: NDArray[np.bool_], least: float
    ) -> None:
        best = np.max(cosines, axis=1, initial=-2.0, where=mates)
        found = best >= least - EQUAL_COSINES
        nearer = ((cosines >= best[:, None] - EQUAL_COSINES) & ~own).sum(axis=1)[found]
        self.references += int(mates.any(axis=1).sum())
        self.hits += np.bincount(nearer[nearer < len(self.hits)], minlength=len(self.hits))

    @property
    def positives(self) -> int:
        return int(self.positive.sum())

    @property
    def negatives(self) -> int:
        return int(self.negative.sum())

    def hit_probabilities(self) -> list[float] | None:
        """Return for N = 1, 2, … the share of references with a mate among the N most similar candidates.

        None without references.
        """
        return (np.cumsum(self.hits) / self.references).tolist() if self.references else None


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """ROC curve by ascending FPR; the first point is (0, 0), the last (1, 1).

    `steps`: the rounded similarity of each point, `STEPS` + 1 for the first.
    """

    steps: Counts
    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]

    @classmethod
    def of(cls, counts: PairCounts) -> "Curve | None":
        """Return the curve; None if there are no positive or no negative pairs."""
        if not counts.positives or not counts.negatives:
            return None
        used = np.flatnonzero(counts.positive + counts.negative)[::-1]
        rates = (
            np.concatenate(([0.0], np.cumsum(each[used]) / each.sum())) for each in (counts.negative, counts.positive)
        )
        return cls(np.concatenate(([STEPS + 1], used)), *rates)

    @property
    def auc(self) -> float:
        """Area under the curve: probability that a positive pair is more similar than a negative one; ties count ½."""
        return float(np.trapezoid(self.tpr, self.fpr))

    def point(self, place: int) -> Point:
        step = int(self.steps[place])
        return Point(None if step > STEPS else step / STEPS, float(self.fpr[place]), float(self.tpr[place]))

    def equal_errors(self) -> Point:
        """Return the point where FPR = 1 − TPR, on the line between two points of the curve.

        Its threshold is the highest one at which the FPR is not lower.
        """
        after = int(np.argmax(self.fpr >= 1 - self.tpr))
        before = after - 1
        gap = (1 - self.tpr) - self.fpr
        share = gap[before] / (gap[before] - gap[after])
        fpr = self.fpr[before] + share * (self.fpr[after] - self.fpr[before])
        return Point(self.point(after).threshold, float(fpr), float(1 - fpr))

    def key_point(self, fpr: float) -> Point:
        """Return the point with the highest TPR whose FPR is at most `fpr`."""
        return self.point(int(np.searchsorted(self.fpr, fpr, "right")) - 1)

    def points(self) -> Iterator[Point]:
        """Return the points of the curve, of more than 1,000 a part: evenly spaced along it, and by log FPR."""
        places = np.arange(len(self.steps))
        if len(places) > 2 * CURVE_POINTS:
            along = np.searchsorted(self.fpr + self.tpr, np.linspace(0, 2, CURVE_POINTS))
            rare = np.searchsorted(self.fpr, np.geomspace(LEAST_FPR, 1, CURVE_POINTS), "right") - 1
            places = np.unique(np.concatenate((places[:1], along.clip(0, places[-1]), rare, places[-1:])))
        return map(self.point, places.tolist())


def row_blocks(count: int, start: int) -> Iterator[range]:
    """Yield the rows to compare together, of `count` rows from `start` on."""
    rows = max(1, BLOCK_PAIRS // max(1, count))
    for first in range(start, count, rows):
        yield range(first, min(first + rows, count))


def _similarity_steps(cosines: NDArray[np.float64], calibration: Calibration) -> Counts:
    known, similarities = zip(*calibration.points, strict=True)
    steps: Counts = np.rint(np.interp(cosines, known, similarities) * STEPS).astype(np.int64)
    return steps


def codes_of(labels: Sequence[object]) -> Counts:
    """Return a number for each label; equal labels have equal numbers."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], np.int64)
