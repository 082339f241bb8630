"""Fast codes of a segment: few bytes per row that propose rows, without a proof that no nearer row is left out.

Rows are projected to their first principal components, whose product quantisation has 4 bits for each piece of 2 or 4
components. FAISS compares such codes in registers of the processor. The products select some thousand rows, whose
complete codes `scan` then compares with its bounds, and PostgreSQL decides.

How many pieces and rows suffice is measured when the codes are made (`fast_making`). FAISS keeps the codes in
memory of its own, so every process has a copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.matching.segments.codes import Floats
from apps.matching.segments.scan import Best, Keys, Proposed, Rows, Segment, scan, scan_floats

NEVER = 2**31  # vectors of one search
PER_RESULT = 120  # candidates for each result, if that is more than the number that was measured for 5 results


@dataclass(frozen=True, slots=True, eq=False)
class FastCodes:
    """Fast codes of all rows of a segment.

    `projection`: float32 [c, d], orthonormal rows in the coordinates of the segment. `index`: FAISS's index of the
    projected rows, in their order. `candidates`: rows to propose for five results. `exact_from`: vectors of one search
    from which it is faster to compare all rows completely.
    """

    projection: Floats
    index: Any
    candidates: int
    exact_from: int

    @property
    def rows(self) -> int:
        return int(self.index.ntotal)

    def near(self, rotated: Floats, candidates: int) -> list[Rows]:
        """Return at most `candidates` rows for each vector, ascending.

        `rotated`: unit vectors in the coordinates of the segment, float32 [m, d].
        """
        if candidates >= self.rows:
            return [np.arange(self.rows)] * len(rotated)
        with_one_thread()
        _, found = self.index.search(np.ascontiguousarray(rotated @ self.projection.T), candidates)
        return [np.sort(rows[rows >= 0]) for rows in found]


def with_one_thread() -> None:
    """Let FAISS use only the calling thread: requests are parallel already, and OpenMP's bound is one per thread."""
    import faiss  # only processes that search fast load the library

    faiss.omp_set_num_threads(1)


def proposals_fast(
    segments: Sequence[tuple[Segment, Rows, FastCodes | None]],
    loose: tuple[Keys, Floats],
    vectors: Floats,
    limit: int,
    threshold: float,
) -> list[Proposed]:
    """Return for each vector the rows that probably contain its `limit` nearest rows.

    `segments`: each with the rows to skip; those without fast codes are compared completely, and so are all if there
    are so many vectors that this is faster. `loose`: keys and vectors outside of segments. The floor of a result holds
    for the rows that fast codes propose, not for all.
    """
    best = Best.of(len(vectors), limit, threshold)
    scan_floats(*loose, vectors, best)
    for segment, without, fast in segments:
        if fast is None or len(vectors) >= fast.exact_from:
            scan(segment, vectors, best, without=without)
            continue
        near = fast.near(segment.basis.rotated(vectors), max(fast.candidates, PER_RESULT * limit))
        for place, rows in enumerate(near):
            own = slice(place, place + 1)
            part = best.part(own)
            scan(segment, vectors[own], part, without=without, only=rows)
            best.take(own, part)
    return best.result()
