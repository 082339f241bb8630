"""Error rates of a descriptor version on labelled faces, and a calibration from them.

FMR (false match rate): share of impostor pairs with a cosine at or above a threshold. FNMR (false non-match rate):
share of genuine pairs below it. `SCALE` is the platform's target for similarities.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.common.descriptors import DescriptorVersion

Cosines = NDArray[np.float64]

# Pairs of similarity and target FMR.
SCALE = ((0.5, 0.25), (0.6, 0.05), (0.7, 0.01), (0.8, 1e-3), (0.9, 1e-4))
HIGHEST_STATED = SCALE[-1][0]  # above it, the rate of this similarity is an upper bound
SEEN_FALSE_MATCHES = 5  # minimum number of pairs for a counted rate; a lower rate is extrapolated
FEWEST_IMPOSTORS = 1000  # minimum number of impostor pairs for a proposed calibration
CONFIDENCE_Z = 1.96  # normal quantile of 95 % confidence bounds
TAIL_FMR = 0.05  # below this rate log FMR is nearly linear in the cosine


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Cosines of genuine pairs (one person) and impostor pairs (two people), each ascending."""

    genuine: Cosines
    impostor: Cosines

    def fmr(self, cosine: float) -> float:
        """Return the share of impostor pairs at or above a cosine."""
        return 1.0 - float(np.searchsorted(self.impostor, cosine)) / len(self.impostor)

    def fnmr(self, cosine: float) -> float:
        """Return the share of genuine pairs below a cosine."""
        return float(np.searchsorted(self.genuine, cosine)) / len(self.genuine)

    @property
    def auc(self) -> float:
        """Area under the ROC curve: probability that a genuine pair has the higher cosine than an impostor pair."""
        below = np.searchsorted(self.impostor, self.genuine, "left")
        not_above = np.searchsorted(self.impostor, self.genuine, "right")
        return float((below + not_above).sum()) / (2 * len(self.genuine) * len(self.impostor))


def bounds(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a rate: `count` of `total` pairs (E. B. Wilson, 1927).

    Pairs are taken as independent. Pairs of few people are not, so the interval is too narrow for them.
    """
    squared = CONFIDENCE_Z**2
    centre = (count + squared / 2) / (total + squared)
    half = CONFIDENCE_Z / (total + squared) * np.sqrt(count * (total - count) / total + squared / 4)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def stated_fmr(version: DescriptorVersion, similarity: float) -> float | None:
    """Return the FMR at a similarity that the calibration of a version states, None if it states none.

    Calibrations of faces aim at `SCALE`. A rate between two of its points that both are in the calibration is
    log-linear in the cosine. Calibrations of bodies have no such target.
    """
    calibration = version.calibration
    known = {point for _, point in calibration.points}
    if version.kind != "face":
        return None
    for (low, low_rate), (high, high_rate) in itertools.pairwise(SCALE):
        if low <= similarity <= high and {low, high} <= known:
            ends = [calibration.cosine(low), calibration.cosine(high)]
            return float(10 ** np.interp(calibration.cosine(similarity), ends, np.log10([low_rate, high_rate])))
    return None


def false_alarms(fmr: float, candidates: int) -> float:
    """Return the share of searches for an unlisted person that return a false candidate, of a list of `candidates`.

    FPIR = 1 − (1 − FMR)^N (ISO/IEC 19795-1); comparisons are taken as independent.
    """
    return float(-np.expm1(candidates * np.log1p(-min(fmr, 1 - 1e-12))))


@dataclass(frozen=True, slots=True)
class Point:
    """Point of a proposed calibration. `counted`: the rate is counted on the pairs, not extrapolated."""

    similarity: float
    fmr: float
    cosine: float
    counted: bool


def pairs_of(vectors: NDArray[np.float32], people: Sequence[str]) -> Pairs:
    """Return all pairs of the rows of `vectors`, unit vectors [N, dimension].

    Raises ValueError if genuine or impostor pairs are missing.
    """
    values, same = _cosines(vectors, people)
    if same.all() or not same.any():
        raise ValueError("calibration needs at least two people, and at least two pictures of one of them")
    return Pairs(np.sort(values[same]), np.sort(values[~same]))


def impostors_of(vectors: NDArray[np.float32], people: Sequence[str]) -> Cosines:
    """Return the cosines of all impostor pairs, ascending."""
    values, same = _cosines(vectors, people)
    return np.sort(values[~same])


def _cosines(vectors: NDArray[np.float32], people: Sequence[str]) -> tuple[Cosines, NDArray[np.bool_]]:
    """Return the cosine of each pair of rows, and whether the pair is genuine."""
    cosines = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    rows, columns = np.triu_indices(len(people), 1)
    names = np.array(people)
    return cosines[rows, columns], names[rows] == names[columns]


def proposed_points(pairs: Pairs) -> list[Point]:
    """Return the cosines of the target rates. Rates that the pairs cannot show are extrapolated log-linearly.

    Points that do not ascend are omitted.
    """
    count = len(pairs.impostor)
    slope, offset = _tail(pairs.impostor)
    points: list[Point] = []
    for similarity, rate in SCALE:
        counted = rate * count >= SEEN_FALSE_MATCHES
        if not counted and slope >= 0:
            break
        cosine = float(np.quantile(pairs.impostor, 1 - rate)) if counted else (np.log10(rate) - offset) / slope
        if cosine < 1 and (not points or cosine > points[-1].cosine):
            points.append(Point(similarity, rate, float(cosine), counted))
    return points


def calibration_of(points: Sequence[Point]) -> list[list[float]]:
    """Return the points as `calibration` of a manifest."""
    inner = [[round(point.cosine, 3), point.similarity] for point in points]
    rising = [inner[0], *(b for a, b in itertools.pairwise(inner) if b[0] > a[0])] if inner else []
    return [[-1.0, 0.0], *rising, [1.0, 1.0]]


def _tail(impostor: Cosines) -> tuple[float, float]:
    """Return slope and offset of log10 FMR = slope · cosine + offset, fitted to the upper tail."""
    count = len(impostor)
    ranks = np.arange(count, 0, -1) / count  # FMR at each cosine
    in_tail = (ranks <= TAIL_FMR) & (ranks >= min(SEEN_FALSE_MATCHES, count) / count)
    if np.unique(impostor[in_tail]).size < 2:
        return 0.0, 0.0
    slope, offset = np.polyfit(impostor[in_tail], np.log10(ranks[in_tail]), 1)
    return float(slope), float(offset)


def roc_points(pairs: Pairs) -> list[tuple[float, float]]:
    """Return FMR and true match rate at the cosine of every pair, in descending order of the cosine."""
    thresholds = np.unique(np.concatenate([pairs.genuine, pairs.impostor]))[::-1]
    return [(pairs.fmr(cosine), 1.0 - pairs.fnmr(cosine)) for cosine in thresholds]


def roc_svg(pairs: Pairs, title: str) -> str:
    """Return the ROC curve as SVG: logarithmic FMR on the x axis, true match rate on the y axis."""
    width, height, margin = 520, 420, 60
    lowest = np.floor(np.log10(1 / len(pairs.impostor)))

    def place(fmr: float, tmr: float) -> str:
        share = (np.log10(max(fmr, 10**lowest)) - lowest) / -lowest if lowest else 1.0
        return f"{margin + share * (width - 2 * margin):.1f},{height - margin - tmr * (height - 2 * margin):.1f}"

    curve = " ".join(place(*point) for point in roc_points(pairs))
    lines, labels = [], []
    for exponent in range(int(lowest), 1):
        x, bottom = place(10**exponent, 0).split(",")
        lines.append(f'<path d="M{x},{bottom}V{margin}"/>')
        labels.append(f'<text x="{x}" y="{height - margin + 18}" text-anchor="middle">{10.0**exponent:g}</text>')
    for tenth in range(0, 11, 2):
        left, y = place(10**lowest, tenth / 10).split(",")
        lines.append(f'<path d="M{left},{y}H{width - margin}"/>')
        labels.append(f'<text x="{margin - 8}" y="{float(y) + 4}" text-anchor="end">{tenth / 10:g}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/><g stroke="#ddd">{"".join(lines)}</g>'
        f'{"".join(labels)}<text x="{width / 2}" y="24" text-anchor="middle" font-size="14">{title}</text>'
        f'<text x="{width / 2}" y="{height - 16}" text-anchor="middle">false match rate</text>'
        f'<text x="16" y="{height / 2}" text-anchor="middle" transform="rotate(-90 16 {height / 2})">true match rate'
        f'</text><polyline points="{curve}" fill="none" stroke="#1357a6" stroke-width="2"/></svg>\n'
    )
