"""Connected components of all pairs of rows with a cosine above a threshold: exact, blocked, on several threads.

Codes of one byte per number propose pairs, with a proven bound of their errors. For rows x = x̂ + r, y = ŷ + s, where x̂
and ŷ are the codes times their scale, |x·y − x̂·ŷ| ≤ ‖r‖·‖y‖ + ‖x̂‖·‖s‖ (Cauchy–Schwarz). The bound decides nearly all
pairs; the float64 product of the stored float32 vectors decides the others.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from dataclasses import dataclass
from functools import partial
from typing import Any

import numkong
import numpy as np
from numpy.typing import NDArray

from apps.common.descriptors import Vector
from apps.common.processors import lower_priority, usable_processors

Places = NDArray[np.intp]

STRIPE_ROWS = 4096  # of both sides of a unit, 17 million pairs: 10 ms with AMX
TILE_ROWS, TILE_COLUMNS = 512, 256  # products of a tile: 512 KB, which stay in the cache of the processor
DECIDED_PAIRS = 4096  # in float64 at once
MAX_CODE = 127
ROUNDING = 1e-6  # norms of float32 unit vectors, and sums in float64
CHECK_S = 0.1
NICENESS = 19  # the lowest priority: requests go first

Check = Callable[[], None]


class Components:
    """Disjoint sets of places 0..n-1. A parent is at most its place, so the root is the smallest place of its set.

    `parents`: int32 [n]; bytes of an earlier object, to continue.
    """

    def __init__(self, count: int, parents: bytes | None = None) -> None:
        self.parents = np.arange(count, dtype=np.int32) if parents is None else np.frombuffer(parents, np.int32).copy()
        self._lock = threading.Lock()

    def roots(self, places: Places) -> NDArray[np.int32]:
        """Return the root of each place, and shorten their paths."""
        with self._lock:
            return self._roots(places)

    def join(self, first: Places, second: Places) -> None:
        """Join the sets of each pair of places."""
        with self._lock:
            while len(first):
                one, other = self._roots(first), self._roots(second)
                differ = one != other
                first, second = np.minimum(one, other)[differ], np.maximum(one, other)[differ]
                np.minimum.at(self.parents, second, first)  # of several pairs with one root, the others go round again

    def labels(self) -> NDArray[np.int32]:
        """Return the smallest place of each place's set, int32 [n]."""
        return self.roots(np.arange(len(self.parents)))

    def _roots(self, places: Places) -> NDArray[np.int32]:
        found = self.parents[places]
        while not np.array_equal(above := self.parents[found], found):
            found = above
        self.parents[places] = found
        return found


@dataclass(frozen=True, slots=True, eq=False)
class CodedVectors:
    """Unit vectors with their codes.

    `vectors`: float32 [n, d]. `codes`: int8 [n, d]. `scale`: the step of the codes of each stripe, float64 [stripes].
    `lost`: the norm of what a row's codes lose, float32 [n], rounded up.
    """

    vectors: Vector
    codes: NDArray[np.int8]
    scale: NDArray[np.float64]
    lost: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: Vector, codes: NDArray[np.int8], check: Check) -> "CodedVectors":
        """Return the vectors with their codes, which are written to `codes`."""
        stripes = range(0, len(vectors), STRIPE_ROWS)
        scale, lost = np.ones(len(stripes)), np.empty(len(vectors), np.float32)
        for stripe, start in enumerate(stripes):
            check()
            rows = slice(start, start + STRIPE_ROWS)
            wide = vectors[rows].astype(np.float64)
            scale[stripe] = max(np.abs(wide).max(), 1e-30) / MAX_CODE
            rounded = np.rint(wide / scale[stripe])
            codes[rows] = rounded
            lost[rows] = np.linalg.norm(wide - rounded * scale[stripe], axis=1) * (1 + 1e-6)
        return cls(vectors, codes, scale, lost)


def units(rows: int) -> list[tuple[int, int]]:
    """Return the pairs of stripes to compare, in the order of the work: every stripe with itself and all later ones."""
    stripes = -(-rows // STRIPE_ROWS)
    return [(column, row) for column in range(stripes) for row in range(column, stripes)]


def connect(
    rows: CodedVectors, components: Components, threshold: float, *, start: int, check: Check, threads: int = 0
) -> Generator[int]:
    """Join the components of all pairs with a cosine above `threshold` (-1..1), from the unit number `start` on.

    Yield the number of units of `units` that are finished; `components` then has all their pairs. `check` is called at
    least every `CHECK_S`, and ends the work by an error. `threads`: 0 for the number of processors of the process.
    """
    work = units(len(rows.vectors))
    threads = threads or usable_processors()
    comparison = _Comparison(rows, components, threshold)
    waiting: deque[Future[None]] = deque()
    following = start
    with ThreadPoolExecutor(threads, "clusters", initializer=partial(lower_priority, NICENESS)) as pool:
        try:
            while waiting or following < len(work):
                while following < len(work) and len(waiting) < 2 * threads:
                    waiting.append(pool.submit(comparison.unit, *work[following]))
                    following += 1
                check()
                if _finished(waiting[0]):
                    waiting.popleft()
                    yield following - len(waiting)
        finally:
            for each in waiting:
                each.cancel()


def _finished(unit: Future[None]) -> bool:
    try:
        unit.result(timeout=CHECK_S)
    except TimeoutError:
        if unit.done():  # the unit's own error
            raise
        return False
    return True


class _Comparison:
    """The comparison of pairs of stripes, by several threads."""

    def __init__(self, rows: CodedVectors, components: Components, threshold: float) -> None:
        self.rows, self.components, self.threshold = rows, components, threshold
        self._packed: tuple[int, list[numkong.PackedMatrix]] = (-1, [])

    def unit(self, column: int, row: int) -> None:
        """Join all pairs of two stripes."""
        columns, rows = self._places(column), self._places(row)
        if self._is_joined(columns, rows):
            return
        packed = self._panels(column)
        steps = float(self.rows.scale[column] * self.rows.scale[row])
        least = self._least_product(columns, rows, steps)
        for first in range(rows.start, rows.stop, TILE_ROWS):
            codes = self.rows.codes[first : min(rows.stop, first + TILE_ROWS)]
            for panel, each in enumerate(packed):
                start = columns.start + panel * TILE_COLUMNS
                if start >= first + len(codes):
                    continue  # below the diagonal of a stripe with itself
                products = np.asarray(numkong.dots_packed(codes, each))
                if products.max() >= least:
                    self._join(products, least, first, start, steps)

    def _places(self, stripe: int) -> range:
        return range(stripe * STRIPE_ROWS, min(len(self.rows.vectors), (stripe + 1) * STRIPE_ROWS))

    def _is_joined(self, columns: range, rows: range) -> bool:
        """Return whether all rows of both stripes are in one component already, so that no pair can change it."""
        roots = self.components.roots(np.r_[columns.start : columns.stop, rows.start : rows.stop])
        return bool((roots == roots[0]).all())

    def _panels(self, column: int) -> list[numkong.PackedMatrix]:
        """Return the packed codes of a stripe. Two threads may pack the same stripe once each."""
        stripe, packed = self._packed
        if stripe != column:
            places = self._places(column)
            codes = self.rows.codes[places.start : places.stop]
            packed = [
                numkong.dots_pack(codes[start : start + TILE_COLUMNS]) for start in range(0, len(codes), TILE_COLUMNS)
            ]
            self._packed = column, packed
        return packed

    def _least_product(self, columns: range, rows: range, steps: float) -> int:
        """Return a product of codes that no pair above the threshold falls below."""
        lost, lost_rows = (float(self.rows.lost[each.start : each.stop].max()) for each in (columns, rows))
        least = (self.threshold - _slack(lost, lost_rows)) / steps
        return int(np.clip(np.floor(least), -(2**31), 2**31 - 1))

    def _join(self, products: NDArray[np.int32], least: int, first: int, start: int, steps: float) -> None:
        """Join the pairs of a tile that are above the threshold."""
        flat = np.flatnonzero(products.ravel() >= least)
        row, column = np.divmod(flat, products.shape[1])
        row, column = row + first, column + start
        apart = self.components.roots(row) != self.components.roots(column)
        if not apart.any():
            return
        row, column = row[apart], column[apart]
        cosines = products.ravel()[flat[apart]] * steps
        slack = _slack(self.rows.lost[column].astype(np.float64), self.rows.lost[row].astype(np.float64))
        above = cosines - slack > self.threshold
        self.components.join(row[above], column[above])
        open_ = ~above & (cosines + slack > self.threshold)
        self._decide(row[open_], column[open_])

    def _decide(self, row: Places, column: Places) -> None:
        """Join the pairs whose exact cosine is above the threshold."""
        for at in range(0, len(row), DECIDED_PAIRS):
            one, other = row[at : at + DECIDED_PAIRS], column[at : at + DECIDED_PAIRS]
            apart = self.components.roots(one) != self.components.roots(other)
            one, other = one[apart], other[apart]
            above = cosines_of(self.rows.vectors, one, other) > self.threshold
            self.components.join(one[above], other[above])


def cosines_of(vectors: Vector, first: Places, second: Places) -> NDArray[np.float64]:
    """Return the cosines of pairs of unit vectors, at most 1: float64 sums, in a fixed order of the numbers."""
    one, other = (vectors[places].astype(np.float64) for places in (first, second))
    cosines: NDArray[np.float64] = np.einsum("ij,ij->i", one, other)
    cosines.clip(-1.0, 1.0, out=cosines)
    return cosines


def _slack(lost: Any, other_lost: Any) -> Any:
    """Return the bound of the error of a product of codes, of unit vectors whose codes lose these norms."""
    return lost + other_lost * (1 + lost) + ROUNDING
