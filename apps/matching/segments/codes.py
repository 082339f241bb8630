"""Codes of descriptors: one signed byte per component, with a proven bound of the error of each row.

A descriptor x is rotated to principal components where that pays off, the components after the head are multiplied by
`weight`, and each row is divided by its own scale and rounded: x̂ = code · scale. The residual norm ‖x − x̂‖ is stored
with the row. For a unit vector q, Cauchy–Schwarz gives |q·x − q·x̂| ≤ ‖x − x̂‖, whatever the vectors are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.int8]

MAX_CODE = 127
# A head decides only where it is much shorter than the descriptor, and principal components need many rows.
MIN_DIMENSION_OF_HEAD = 256
MIN_ROWS_OF_HEAD = 20_000
HEAD_SHARE = 5 / 16  # of the components; 1/4 lets three times as many rows pass
SEED = 2026
ENCODED_ROWS = 1024  # at once: they stay in the processor's cache, which takes half the time of 10,000


def rounding(dimension: int) -> float:
    """Return a bound of all rounding errors of 32-bit floats in a comparison, PostgreSQL's included.

    A sum of d products of unit vectors is off by at most d·2⁻²⁴; the platform's own sums and the rotation add less.
    """
    return 2e-5 + dimension * 2.0**-23


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """The coordinates of a segment's codes.

    `rotation`: float32 [d, d] with orthonormal rows, None for the components as they are. `head`: the number of leading
    components that are compared first, 0 for none. `weight`: the factor of the components after the head, which are
    smaller and would otherwise lose precision.
    """

    dimension: int
    rotation: Floats | None = None
    head: int = 0
    weight: float = 1.0

    def rotated(self, vectors: Floats) -> Floats:
        """Return vectors, float32 [n, d], in these coordinates, without weights."""
        return vectors if self.rotation is None else vectors @ self.rotation.T

    def weighted(self, vectors: Floats) -> Floats:
        """Return vectors, float32 [n, d], in these coordinates, with weights; a new array."""
        weighted = vectors.copy() if self.rotation is None else vectors @ self.rotation.T
        if self.head:
            weighted[:, self.head :] *= np.float32(self.weight)
        return weighted

    def weights(self) -> Floats:
        """Return the factor of each component, float32 [d]."""
        weights = np.ones(self.dimension, np.float32)
        if self.head:
            weights[self.head :] = self.weight
        return weights


def basis_of(sample: Floats, rows: int) -> Basis:
    """Return the coordinates for a segment of `rows` rows. `sample`: descriptors of the list, float32 [n, d]."""
    dimension = sample.shape[1]
    if dimension < MIN_DIMENSION_OF_HEAD or min(rows, len(sample)) < MIN_ROWS_OF_HEAD:
        return Basis(dimension)
    head = int(dimension * HEAD_SHARE)
    wide = sample.astype(np.float64)
    _, components = np.linalg.eigh(wide.T @ wide)
    components = components[:, ::-1].T  # largest first
    # A random rotation inside head and tail spreads the energy evenly, so that one scale fits all components.
    random = np.random.default_rng(SEED)
    for part in (slice(0, head), slice(head, dimension)):
        size = part.stop - part.start
        mixing, _ = np.linalg.qr(random.standard_normal((size, size)))
        components[part] = mixing @ components[part]
    energy = (wide @ components.T) ** 2
    head_rms, tail_rms = (float(np.sqrt(energy[:, part].mean())) for part in (slice(0, head), slice(head, None)))
    weight = head_rms / tail_rms if tail_rms > 0 else 1.0
    return Basis(dimension, components.astype(np.float32), head, float(np.clip(weight, 1.0, 100.0)))


@dataclass(frozen=True, slots=True, eq=False)
class CodedRows:
    """Codes of descriptors.

    `codes`: int8 [n, d]. `head`: its leading components, int8 [n, head], a copy that is read without the rest.
    `scale`, `residual`, `tail`: float32 [n], the step of a code, ‖x − x̂‖ rounded up, and the norm of the components
    after the head rounded up.
    """

    codes: Codes
    head: Codes
    scale: Floats
    residual: Floats
    tail: Floats


def encode(vectors: Floats, basis: Basis) -> CodedRows:
    """Return the codes of unit vectors, float32 [n, d]."""
    count, head = len(vectors), basis.head
    codes = np.empty((count, basis.dimension), np.int8)
    scale, head_error, tail_error = (np.empty(count, np.float32) for _ in range(3))
    tail = np.ones(count, np.float32)
    for start in range(0, count, ENCODED_ROWS):
        rows = slice(start, start + ENCODED_ROWS)
        steps = basis.weighted(vectors[rows])
        if head:
            tail[rows] = _norms(steps[:, head:]) / basis.weight
        largest = np.maximum(steps.max(axis=1), -steps.min(axis=1))
        scale[rows] = np.where(largest > 0, largest / MAX_CODE, 1.0)
        steps /= scale[rows][:, None]
        rounded = np.rint(steps)
        codes[rows] = np.clip(rounded, -MAX_CODE, MAX_CODE)
        steps -= codes[rows]
        head_error[rows], tail_error[rows] = _norms(steps[:, :head]), _norms(steps[:, head:])
    residual = scale * np.hypot(head_error, tail_error / np.float32(basis.weight))
    return CodedRows(codes, np.ascontiguousarray(codes[:, :head]), scale, _up(residual), _up(tail))


def _norms(rows: Floats) -> Floats:
    """Return the norm of each row, without the copy of squares that `numpy.linalg.norm` makes."""
    norms: Floats = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return norms


def _up(norms: NDArray[np.floating]) -> Floats:
    """Return norms as float32, increased by more than their rounding errors."""
    return (norms * (1 + 1e-5) + 1e-7).astype(np.float32)
