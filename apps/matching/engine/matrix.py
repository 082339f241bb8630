"""Comparison of vectors in memory: the nearest rows of a matrix, exact, with a fixed order of equal cosines."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from apps.common.descriptors import Vector

Cosines = NDArray[np.float64]
Places = NDArray[np.int64]


def nearest(vectors: Vector, blocks: Iterable[Vector], *, limit: int, threshold: float) -> list[tuple[Places, Cosines]]:
    """Return for each vector the places and cosines of the nearest rows of all blocks, highest cosine first.

    `vectors`: unit vectors, float32 [n, dimension]. `blocks`: parts of one matrix of unit vectors, float32
    [m, dimension], in order; a place counts the rows of all blocks. A result has at most `limit` rows with a cosine of
    at least `threshold` (-1..1); equal cosines are in the order of places.

    A float32 product proposes, float64 decides. BLAS adds the products in an order that depends on the position of the
    row, so equal rows can get different cosines; `einsum` adds those of every row in the same order. Proposals allow
    for twice the rounding error of a sum of n products in float32, which is at most n·2⁻²⁴ for unit vectors (Higham,
    Accuracy and Stability of Numerical Algorithms, section 3.1).
    """
    rounding = vectors.shape[1] * float(np.finfo(np.float32).eps)
    found = [(np.empty(0, np.int64), np.empty(0)) for _ in vectors]
    first = 0
    for block in blocks:
        proposed = vectors @ block.T
        for row, vector in enumerate(vectors):
            places, cosines = found[row]
            least = threshold if len(places) < limit else max(threshold, float(cosines[-1]))
            near = _proposals(proposed[row], least, limit, rounding)
            if len(near) == 0:
                continue
            exact = np.einsum("ij,j->i", block[near].astype(np.float64), vector.astype(np.float64))
            kept = exact >= threshold
            places = np.concatenate((places, near[kept] + first))
            cosines = np.concatenate((cosines, exact[kept]))
            order = np.argsort(-cosines, kind="stable")[:limit]  # places ascend, so equal cosines keep their order
            found[row] = places[order], cosines[order]
        first += len(block)
    return found


def _proposals(cosines: Vector, least: float, limit: int, rounding: float) -> Places:
    """Return the places, ascending, that can be among the `limit` highest cosines of at least `least`."""
    near = np.flatnonzero(cosines >= least - rounding)
    if len(near) > limit:
        last = np.partition(cosines[near], -limit)[-limit]
        near = near[cosines[near] >= last - 2 * rounding]
    return near
