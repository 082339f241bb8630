"""Scan of codes: the rows that can be among the nearest ones, with the proof that no other row can.

For a row x = x̂ + r and a unit vector q = q̂ + e with code q̂, all in the segment's coordinates, q·x − q̂·x̂ = q·r + e·x̂.
Cauchy–Schwarz bounds the head and the tail of e·x̂ each: |q·x − q̂·x̂| ≤ ‖r‖ + ‖e head‖·‖x̂ head‖ + ‖e tail‖·‖x̂ tail‖.
Without the tail's product, |q tail · x tail| ≤ ‖q tail‖·‖x tail‖. ‖x̂ head‖ ≤ 1 + ‖r‖ and ‖x̂ tail‖ ≤ ‖x tail‖ + ‖r‖, so
both bounds are a sum of 1, ‖r‖ and ‖x tail‖ with factors of the vector (`Query.slack`).

The scan keeps a row as long as its upper bound reaches the k-th best lower bound found so far, and the request's
threshold. The rows that remain contain all nearest ones. Their exact cosines decide, elsewhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numkong
import numpy as np
from numpy.typing import NDArray

from apps.matching.segments.codes import MAX_CODE, Basis, Codes, Floats, rounding

Keys = NDArray[np.int64]
Rows = NDArray[np.intp]

BLOCK_VALUES = 2**15  # dot products of one call: they and the bounds of their rows stay in the processor's cache
MIN_BLOCK_ROWS = 4096
FIRST_ROWS = 4096  # of these rows all bounds are compared; they give the first threshold
GROWTH = 4  # each following step is so many times longer: thresholds rise fast, and steps cost time
HEAD_USEFUL_SHARE = 0.2  # of the rows may pass the head; with more, it is faster to compare all components at once
TILE_COLUMNS = 16 if any(numkong.get_capabilities().get(name) for name in ("sapphireamx", "graniteamx")) else 1
GATHERED_VALUES = 2**14  # rows of a filter are copied before they are compared
REFINED_ROWS = 4096  # at once: their floats stay in the processor's cache
_NO_KEYS: Keys = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Segment:
    """Rows of a list, in the order of their keys. `keys`: int64 [n], ascending; the other arrays as in `CodedRows`."""

    basis: Basis
    keys: Keys
    codes: Codes
    head: Codes
    scale: Floats
    residual: Floats
    tail: Floats

    def places(self, keys: Keys) -> Rows:
        """Return the rows of those keys that this segment has, ascending."""
        if not len(self.keys) or not len(keys):
            return np.empty(0, np.intp)
        found = np.unique(np.searchsorted(self.keys, keys))
        found = found[found < len(self.keys)]
        return found[np.isin(self.keys[found], keys)]


class Proposed(NamedTuple):
    """Rows that may be among the nearest ones of a vector, by key, ascending.

    All other rows have a cosine below `floor`.
    """

    keys: Keys
    floor: float


@dataclass(slots=True, eq=False)
class Best:
    """The rows that may be among the `limit` nearest of each vector.

    `floor`: float64 [m], the value that the upper bound of a row must reach. `lower`: float64 [m, limit], the best
    lower bounds so far. `kept`: keys and upper bounds of each vector.
    """

    limit: int
    floor: NDArray[np.float64]
    lower: NDArray[np.float64]
    kept: list[list[tuple[Keys, NDArray[np.float64]]]] = field(init=False)

    def __post_init__(self) -> None:
        self.kept = [[] for _ in self.floor]

    @classmethod
    def of(cls, vectors: int, limit: int, threshold: float) -> "Best":
        return cls(limit, np.full(vectors, threshold, np.float64), np.full((vectors, limit), -np.inf))

    def add(self, place: int, keys: Keys, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> None:
        """Add rows for the vector at `place`: keys and bounds of the cosine, each [n]."""
        fits = upper >= self.floor[place]
        keys, lower, upper = keys[fits], lower[fits], upper[fits]
        if not len(keys):
            return
        self.kept[place].append((keys, upper))
        best = np.concatenate((self.lower[place], lower))
        self.lower[place] = best = np.partition(best, -self.limit)[-self.limit :]
        self.floor[place] = max(self.floor[place], best[0])

    def part(self, places: slice) -> "Best":
        """Return a copy for some of the vectors, with their floors and without their rows."""
        return Best(self.limit, self.floor[places].copy(), self.lower[places].copy())

    def take(self, places: slice, part: "Best") -> None:
        """Add what `part` of these vectors found."""
        self.floor[places], self.lower[places] = part.floor, part.lower
        for kept, found in zip(self.kept[places], part.kept, strict=True):
            kept += found

    def result(self) -> list[Proposed]:
        """Return what remains for each vector."""
        proposed = []
        for kept, floor in zip(self.kept, self.floor, strict=True):
            keys = [_NO_KEYS, *(keys[upper >= floor] for keys, upper in kept)]
            proposed.append(Proposed(np.unique(np.concatenate(keys)), float(floor)))
        return proposed


@dataclass(frozen=True, slots=True, eq=False)
class Multiplier:
    """Codes of m vectors, packed for products with rows of codes.

    Processors with AMX multiply by 16 columns at once. Fewer vectors leave columns empty, so that `fold` rows of codes
    are taken as one long row, and each vector as `fold` columns that are zero outside of their part. The products are
    the same, in the same order. One vector, 512-d: 7.6 instead of 9.8 ms for 200,000 rows; 128-d: 3.2 instead of 6.4 ms
    for 400,000 rows.
    """

    packed: numkong.PackedMatrix
    folded: numkong.PackedMatrix
    fold: int
    vectors: int

    @classmethod
    def of(cls, codes: Codes) -> "Multiplier":
        vectors, dimension = codes.shape
        fold = max(1, TILE_COLUMNS // vectors)
        wide = np.zeros((fold, vectors, fold, dimension), np.int8)
        for part in range(fold):
            wide[part, :, part] = codes
        folded = numkong.dots_pack(wide.reshape(fold * vectors, fold * dimension))
        return cls(numkong.dots_pack(codes), folded, fold, vectors)

    def products(self, rows: Codes) -> NDArray[np.int32]:
        """Return the exact products with rows of codes, int8 [n, d], contiguous: int32 [n, m]."""
        whole = len(rows) - len(rows) % self.fold
        parts = []
        if whole:
            long = rows[:whole].reshape(whole // self.fold, -1)
            parts.append(np.asarray(numkong.dots_packed(long, self.folded)).reshape(whole, self.vectors))
        if whole < len(rows):
            parts.append(np.asarray(numkong.dots_packed(rows[whole:], self.packed)))
        products: NDArray[np.int32] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return products


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Vectors in a segment's coordinates.

    `wide`: float32 [m, d], for products with codes. `step`, `lost`: [m], the steps of the vectors' codes, and the norms
    of what the codes lose. `slack`: float64 [3, m]; a cosine differs from the product of the codes by at most the sum
    of these factors with 1, ‖r‖ and ‖x tail‖ of the row. `head_…`: the same of the head alone, unused without head.
    """

    wide: Floats
    step: Floats
    lost: Floats
    slack: NDArray[np.float64]
    codes: Multiplier
    head_step: Floats
    head_slack: NDArray[np.float64]
    head_codes: Multiplier


def scan(segment: Segment, vectors: Floats, best: Best, *, without: Rows, only: Rows | None = None) -> None:
    """Add the rows of a segment to `best`.

    `vectors`: unit vectors, float32 [m, d]. `without`: rows to skip, ascending. `only`: the rows to compare, ascending;
    None for all.
    """
    rows = len(segment.keys) if only is None else len(only)
    if not rows:
        return
    query = query_of(segment.basis, vectors)
    start, length = 0, FIRST_ROWS
    while start < rows:
        stop = min(rows, start + length)
        head = start > 0 and segment.basis.head > 0  # tried anew, because floors rise
        found = []
        for block in _blocks(start, stop, len(vectors), only is not None):
            row, place, head = _passing(segment, query, best, block, only, without, head=head)
            if len(row):
                found.append((row, place))
        if found:
            passed, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
            refine(segment, query.wide, best, passed, places)
        start, length = stop, length * GROWTH


def wide_of(basis: Basis, vectors: Floats) -> Floats:
    """Return vectors in the coordinates of the codes, for products with them."""
    return basis.rotated(vectors) / basis.weights()


def query_of(basis: Basis, vectors: Floats) -> Query:
    rotated = basis.rotated(vectors)
    weights = basis.weights()
    wide = rotated / weights
    head = basis.head or basis.dimension
    step, codes, error = _coded(wide, weights)
    near, far = np.linalg.norm(error[:, :head], axis=1), np.linalg.norm(error[:, head:], axis=1)
    head_step, head_codes, head_error = _coded(wide[:, :head], weights[:head])
    head_lost = np.linalg.norm(head_error, axis=1)
    rounded = rounding(basis.dimension)
    return Query(
        wide,
        step,
        np.hypot(near, far),
        np.stack((near + rounded, 1 + near + far, far)).astype(np.float64),
        Multiplier.of(codes),
        head_step,
        np.stack((head_lost + rounded, 1 + head_lost, np.linalg.norm(rotated[:, head:], axis=1))).astype(np.float64),
        Multiplier.of(head_codes),
    )


def _coded(wide: Floats, weights: Floats) -> tuple[Floats, Codes, Floats]:
    """Return steps [m], codes [m, d] and what the codes lose [m, d], in unweighted coordinates."""
    step = np.maximum(np.abs(wide).max(axis=1), 1e-30) / MAX_CODE
    codes = np.rint(wide / step[:, None]).astype(np.int8)
    return step, codes, (wide - codes * step[:, None]) * weights


def _blocks(start: int, stop: int, vectors: int, gathered: bool) -> Iterator[slice]:
    size = max(1024, GATHERED_VALUES // vectors) if gathered else max(MIN_BLOCK_ROWS, BLOCK_VALUES // vectors)
    for first in range(start, stop, size):
        yield slice(first, min(stop, first + size))


def _least(
    segment: Segment, rows: Rows | slice, floor: NDArray[np.float64], step: Floats, slack: NDArray[np.float64]
) -> Floats:
    """Return the products of codes from which on the upper bounds reach the floors: float32 [n, m].

    product · scale · step + slack · (1, ‖r‖, ‖x tail‖) ≥ floor, solved for the product. Each row has its own bound: one
    for all rows of a block lets many more pass, because scales and residuals differ by a factor of two. `rounding`
    covers 32-bit sums here too, and float32 holds the products without rounding (below 2²⁴).
    """
    terms = np.empty((3, len(segment.scale[rows])), np.float32)
    np.divide(1, segment.scale[rows], out=terms[0])
    np.multiply(segment.residual[rows], terms[0], out=terms[1])
    np.multiply(segment.tail[rows], terms[0], out=terms[2])
    factors = -slack / step
    factors[0] += floor / step
    least: Floats = terms.T @ factors.astype(np.float32)
    return least


def _passing(
    segment: Segment, query: Query, best: Best, block: slice, only: Rows | None, without: Rows, *, head: bool
) -> tuple[Rows, Rows, bool]:
    """Return the pairs of rows and vectors of a block whose upper bound reaches the floor: rows [p], places [p].

    `head`: whether the head is compared first. The last value says whether that pays for the following block.
    """
    rows: Rows | slice = block if only is None else only[block]
    absent = _within(without, block, only)
    if head:
        dots = query.head_codes.products(segment.head[rows])
        passing = dots.astype(np.float32) >= _least(segment, rows, best.floor, query.head_step, query.head_slack)
        passing[absent] = False
        passed = np.flatnonzero(passing.any(axis=1))
        if len(passed) <= HEAD_USEFUL_SHARE * len(dots):
            if not len(passed):
                return passed, passed, True
            rows, absent = passed + block.start if only is None else only[block][passed], passed[:0]
        else:
            head = False
    dots = query.codes.products(segment.codes[rows])
    if block.start == 0:
        _first_floor(segment, rows, query, dots, absent, best)
    passing = dots.astype(np.float32) >= _least(segment, rows, best.floor, query.step, query.slack)
    passing[absent] = False
    row, place = np.divmod(np.flatnonzero(passing), dots.shape[1])
    return (row + rows.start if isinstance(rows, slice) else rows[row]), place, head


def _within(without: Rows, block: slice, only: Rows | None) -> Rows:
    """Return the places inside a block of the rows to skip."""
    if not len(without):
        return without
    if only is not None:
        return np.flatnonzero(np.isin(only[block], without))
    first, last = np.searchsorted(without, (block.start, block.stop))
    inside: Rows = without[first:last] - block.start
    return inside


def _first_floor(
    segment: Segment, rows: Rows | slice, query: Query, dots: NDArray[np.int32], absent: Rows, best: Best
) -> None:
    """Raise the floor to the `limit`-th best lower bound of a block."""
    if len(dots) - len(absent) < best.limit:
        return
    lower = (dots.T * segment.scale[rows]) * query.step[:, None].astype(np.float64)
    lower -= query.slack[0][:, None] + query.slack[1:].T @ np.stack((segment.residual[rows], segment.tail[rows]))
    lower[:, absent] = -np.inf
    best.floor = np.maximum(best.floor, np.partition(lower, -best.limit, axis=1)[:, -best.limit])


def refine(segment: Segment, wide: Floats, best: Best, rows: Rows, places: Rows) -> None:
    """Bound the pairs with the vectors' floats instead of their codes, and add them. `wide`: as in `Query`."""
    order = np.argsort(places, kind="stable")
    ends = np.cumsum(np.bincount(places, minlength=len(wide)))
    for place, own in enumerate(np.split(rows[order], ends[:-1])):
        for start in range(0, len(own), REFINED_ROWS):
            some = own[start : start + REFINED_ROWS]
            products = segment.codes[some].astype(np.float32) @ wide[place]
            cosines = products.astype(np.float64) * segment.scale[some]
            slack = segment.residual[some].astype(np.float64) + rounding(segment.basis.dimension)
            best.add(place, segment.keys[some], cosines - slack, cosines + slack)


def scan_floats(keys: Keys, rows: Floats, vectors: Floats, best: Best) -> None:
    """Add rows that are known as floats to `best`: `keys` int64 [n], `rows` float32 [n, d]."""
    if not len(keys):
        return
    slack = rounding(rows.shape[1])
    for place, cosines in enumerate((vectors @ rows.T).astype(np.float64)):
        best.add(place, keys, cosines - slack, cosines + slack)


class Scan(Protocol):
    """A scan as `scan`."""

    def __call__(
        self, segment: Segment, vectors: Floats, best: Best, *, without: Rows, only: Rows | None = None
    ) -> None:
        """Add the rows of a segment to `best`."""


def proposals(
    segments: Sequence[tuple[Segment, Rows, Rows | None]],
    loose: tuple[Keys, Floats],
    vectors: Floats,
    limit: int,
    threshold: float,
    scan: Scan = scan,
) -> list[Proposed]:
    """Return for each vector the rows that contain its `limit` nearest rows with a cosine of at least `threshold`.

    `segments`: each with the rows to skip and the rows to compare. `loose`: keys and vectors outside of segments.
    `scan`: the scan of segments.
    """
    best = Best.of(len(vectors), limit, threshold)
    scan_floats(*loose, vectors, best)
    for segment, without, only in segments:
        scan(segment, vectors, best, without=without, only=only)
    return best.result()
