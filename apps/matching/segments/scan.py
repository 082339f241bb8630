"""Scan of codes: the rows that can be among the nearest ones, with the proof that no other row can.

For a row x = x̂ + r and a unit vector q with code q̂, all in the segment's coordinates, |q·x − q̂·x̂| ≤ ‖r‖ +
‖q − q̂‖·‖x̂‖. The scan keeps a row as long as its upper bound reaches the k-th best lower bound found so far, and the
request's threshold. The rows that remain contain all nearest ones. Their exact cosines decide, elsewhere.
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

BLOCK_VALUES = 2**17  # dot products of one call: they stay in the processor's cache
FIRST_ROWS = 4096  # of these rows all bounds are compared; they give the first threshold
GROWTH = 4  # each following step is so many times longer: thresholds rise fast, and steps cost time
HEAD_USEFUL_SHARE = 0.08  # of the rows may pass the head; with more, it is faster to compare all components at once
HEAD_PROBE_ROWS = 4096
HEAD_MIN_ROWS = 16_384  # of a step, below which the probe takes longer than it saves
TILE_COLUMNS = 16 if any(numkong.get_capabilities().get(name) for name in ("sapphireamx", "graniteamx")) else 1
GATHERED_VALUES = 2**14  # rows of a filter are copied before they are compared


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
    lower bounds so far. `kept`: keys, upper bounds and places of the vectors.
    """

    limit: int
    floor: NDArray[np.float64]
    lower: NDArray[np.float64]
    kept: list[tuple[Keys, NDArray[np.float64], NDArray[np.intp]]] = field(default_factory=list)

    @classmethod
    def of(cls, vectors: int, limit: int, threshold: float) -> "Best":
        return cls(limit, np.full(vectors, threshold, np.float64), np.full((vectors, limit), -np.inf))

    def add(self, keys: Keys, lower: NDArray[np.float64], upper: NDArray[np.float64], places: NDArray[np.intp]) -> None:
        """Add pairs of a row and a vector: key, bounds of the cosine and place of the vector, each [p]."""
        fits = upper >= self.floor[places]
        keys, lower, upper, places = keys[fits], lower[fits], upper[fits], places[fits]
        if not len(keys):
            return
        self.kept.append((keys, upper, places))
        for place in np.unique(places):
            best = np.concatenate((self.lower[place], lower[places == place]))
            self.lower[place] = np.partition(best, -self.limit)[-self.limit :]
            self.floor[place] = max(self.floor[place], self.lower[place].min())

    def part(self, places: slice) -> "Best":
        """Return a copy for some of the vectors, with their floors and without their rows."""
        return Best(self.limit, self.floor[places].copy(), self.lower[places].copy())

    def take(self, places: slice, part: "Best") -> None:
        """Add what `part` of these vectors found."""
        self.floor[places], self.lower[places] = part.floor, part.lower
        start = places.start or 0
        self.kept += [(keys, upper, own + start) for keys, upper, own in part.kept]

    def result(self) -> list[Proposed]:
        """Return what remains for each vector."""
        if not self.kept:
            return [Proposed(np.empty(0, np.int64), float(floor)) for floor in self.floor]
        keys, upper, places = (np.concatenate(parts) for parts in zip(*self.kept, strict=True))
        fits = upper >= self.floor[places]
        keys, places = keys[fits], places[fits]
        return [Proposed(np.unique(keys[places == place]), float(floor)) for place, floor in enumerate(self.floor)]


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
    """Vectors in a segment's coordinates. `wide`: float32 [m, d], for products with codes."""

    wide: Floats
    step: Floats  # [m]
    lost: Floats  # [m], the norm that the codes of the vectors lose
    codes: Multiplier
    head_step: Floats
    head_lost: Floats
    head_codes: Multiplier  # not used without head
    tail_norm: Floats


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
        head = length > HEAD_MIN_ROWS and _head_pays(segment, query, best)
        found = [
            (row, place)
            for block in _blocks(start, stop, len(vectors), only is not None)
            for row, place in [_passing(segment, query, best, block, only, without, head=head, first=start == 0)]
            if len(row)
        ]
        if found:
            passed, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
            refine(segment, query, best, passed, places)
        start, length = stop, length * GROWTH


def query_of(basis: Basis, vectors: Floats) -> Query:
    rotated = basis.rotated(vectors)
    weights = basis.weights()
    wide = rotated / weights
    step, codes, lost = _coded(wide, weights)
    head = basis.head or basis.dimension
    head_step, head_codes, head_lost = _coded(wide[:, :head], weights[:head])
    return Query(
        wide,
        step,
        lost,
        Multiplier.of(codes),
        head_step,
        head_lost,
        Multiplier.of(head_codes),
        np.linalg.norm(rotated[:, basis.head :], axis=1),
    )


def _coded(wide: Floats, weights: Floats) -> tuple[Floats, Codes, Floats]:
    """Return steps [m], codes [m, d] and the norms [m] of what the codes lose, in unweighted coordinates."""
    step = np.maximum(np.abs(wide).max(axis=1), 1e-30) / MAX_CODE
    codes = np.rint(wide / step[:, None]).astype(np.int8)
    return step, codes, np.linalg.norm((wide - codes * step[:, None]) * weights, axis=1)


def _blocks(start: int, stop: int, vectors: int, gathered: bool) -> Iterator[slice]:
    size = max(1024, (GATHERED_VALUES if gathered else BLOCK_VALUES) // vectors)
    for first in range(start, stop, size):
        yield slice(first, min(stop, first + size))


def _head_pays(segment: Segment, query: Query, best: Best) -> bool:
    """Return whether the head alone excludes nearly all rows, measured on some of them."""
    if not segment.basis.head:
        return False
    rows = slice(None, None, max(1, len(segment.keys) // HEAD_PROBE_ROWS))
    dots = query.head_codes.products(np.ascontiguousarray(segment.head[rows]))
    passing = _passing_head(segment, query, best, rows, dots)
    return bool(passing.any(axis=1).mean() <= HEAD_USEFUL_SHARE)


def _slack(segment: Segment, rows: Rows | slice, lost: Floats) -> Floats:
    """Return the largest difference of a cosine of these rows and the product of its codes, for each vector."""
    residual = float(segment.residual[rows].max())
    return lost * (1 + residual) + (residual + rounding(segment.basis.dimension))


def _passing_head(
    segment: Segment, query: Query, best: Best, rows: Rows | slice, dots: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Return which rows can reach the floors, from the products of their heads: bool [n, m].

    ‖q tail‖·‖x tail‖ bounds the rest of a row. One bound for all rows of a block excludes far fewer: of a million 512-d
    rows 13 % instead of 2 % reach a cosine of .5. float32 holds the products without rounding (below 2²⁴).
    """
    least: Floats = segment.tail[rows][:, None] * -query.tail_norm
    least += (best.floor - _slack(segment, rows, query.head_lost)).astype(np.float32)
    least /= segment.scale[rows][:, None]
    least /= query.head_step
    passing: NDArray[np.bool_] = dots.astype(np.float32) >= least
    return passing


def _passing(
    segment: Segment,
    query: Query,
    best: Best,
    block: slice,
    only: Rows | None,
    without: Rows,
    *,
    head: bool,
    first: bool,
) -> tuple[Rows, Rows]:
    """Return the pairs of rows and vectors of a block whose upper bound reaches the floor: rows [p], places [p]."""
    rows: Rows | slice = block if only is None else only[block]
    absent = _within(without, block, only)
    if head:
        passing = _passing_head(segment, query, best, rows, query.head_codes.products(segment.head[rows]))
        passing[absent] = False
        passed = np.flatnonzero(passing.any(axis=1))
        if not len(passed):
            return passed, passed
        passed = passed + block.start if only is None else only[passed + block.start]
        return _passing(segment, query, best, slice(0, len(passed)), passed, without, head=False, first=False)
    scale, slack = segment.scale[rows], _slack(segment, rows, query.lost)
    least, most = float(scale.min()), float(scale.max())
    dots = query.codes.products(segment.codes[rows])
    if first:
        _first_floor(dots, scale, query.step, slack, absent, best)
    # A row passes where dot · scale · step + slack ≥ floor. The extreme scales of the block turn that into a comparison
    # of integers that no passing row fails.
    wanted = (best.floor - slack) / query.step
    least_dots = np.floor(np.where(wanted > 0, wanted / most, wanted / least))
    passing = dots >= np.clip(least_dots, -(2**31), 2**31 - 1).astype(np.int32)
    passing[absent] = False
    flat = np.flatnonzero(passing)
    row, place = np.divmod(flat, dots.shape[1])
    exact = dots.ravel()[flat] * scale[row].astype(np.float64) * query.step[place] + slack[place] >= best.floor[place]
    row, place = row[exact], place[exact]
    return (row + block.start if only is None else only[row + block.start]), place


def _within(without: Rows, block: slice, only: Rows | None) -> Rows:
    """Return the places inside a block of the rows to skip."""
    if not len(without):
        return without
    if only is not None:
        return np.flatnonzero(np.isin(only[block], without))
    first, last = np.searchsorted(without, (block.start, block.stop))
    inside: Rows = without[first:last] - block.start
    return inside


def _first_floor(dots: NDArray[np.int32], scale: Floats, step: Floats, slack: Floats, absent: Rows, best: Best) -> None:
    """Raise the floor to the `limit`-th best lower bound of a block."""
    if len(dots) - len(absent) < best.limit:
        return
    values = dots * scale[:, None].astype(np.float64) * step
    values[absent] = -np.inf
    lower = np.partition(values, -best.limit, axis=0)[-best.limit] - slack
    best.floor = np.maximum(best.floor, lower)


def refine(segment: Segment, query: Query, best: Best, rows: Rows, places: Rows) -> None:
    """Bound the pairs with the vectors' floats instead of their codes, and add them."""
    for start in range(0, len(rows), 4096):
        row, place = rows[start : start + 4096], places[start : start + 4096]
        codes = segment.codes[row].astype(np.float32)
        products = codes @ query.wide[0] if len(query.wide) == 1 else np.einsum("ij,ij->i", codes, query.wide[place])
        cosines = products.astype(np.float64) * segment.scale[row]
        slack = segment.residual[row].astype(np.float64) + rounding(segment.basis.dimension)
        best.add(segment.keys[row], cosines - slack, cosines + slack, place)


def scan_floats(keys: Keys, rows: Floats, vectors: Floats, best: Best) -> None:
    """Add rows that are known as floats to `best`: `keys` int64 [n], `rows` float32 [n, d]."""
    if not len(keys):
        return
    cosines = (rows @ vectors.T).astype(np.float64)
    slack = rounding(rows.shape[1])
    row, place = np.divmod(np.arange(cosines.size), len(vectors))
    best.add(keys[row], cosines.ravel() - slack, cosines.ravel() + slack, place)


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
