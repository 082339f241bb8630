"""Making of fast codes: their size, and the measurement of what they find.

Both are decided by searches with the list's own descriptors, whose right answers an exact scan knows.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.matching.segments.codes import Floats
from apps.matching.segments.fast import NEVER, PER_RESULT, FastCodes, proposals_fast, with_one_thread
from apps.matching.segments.scan import Keys, Proposed, Rows, Segment, proposals

PIECES = (16, 32, 64, 96, 128)
COMPONENTS_PER_PIECE = (2, 4)
CANDIDATES = (1000, 2000, 4000)
MIN_ROWS = 64  # quantisers have 16 values for each piece
SAMPLE_ROWS = 25_000  # principal components and quantisers are computed from them, and ranks are estimated
ASKED, TOP = 200, 5
BATCH_ROWS = 16_384
EXACT_AT_ONCE = 30
PIECE_NS, CANDIDATE_NS = 0.04, 350.0  # to compare one piece of a row, and one candidate completely
SEED = 2026
TIMED = 3  # times that each scan is measured
NO_ROWS: Rows = np.empty(0, np.intp)
TRIES = 3  # shapes that are made and measured, if their recall stays below the estimate

Progress = Callable[[float], None]


class Recall(NamedTuple):
    """Shares that fast codes find: of the 5 nearest faces of strangers, and of the stored faces of known people.

    `known` is None if strangers are nearer than all known people, so that there is nothing to find.
    """

    strangers: float
    known: float | None

    def reaches(self, target: float) -> bool:
        """Return whether strangers have the target, and a tenth of its misses is missed of known people."""
        return self.strangers >= target and (self.known is None or self.known >= 1 - (1 - target) / 10)

    @classmethod
    def of(cls, strangers: NDArray[np.bool_], known: NDArray[np.bool_]) -> "Recall":
        """Return the shares of searches whose right row was found."""
        return cls(float(strangers.mean()), float(known.mean()) if known.size else None)


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of fast codes: pieces of 4 bits, components of each, and rows to propose."""

    pieces: int
    components: int
    candidates: int


class Made(NamedTuple):
    """Fast codes with their shape and measured recall."""

    fast: FastCodes
    shape: Shape
    recall: Recall


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """Searches with descriptors of the segment, in its coordinates.

    `strangers`: stored descriptors, float32 [m, d]. `nearest`: their 5 nearest other rows, int [m, 5]. `known`: new
    descriptors of stored people, float32 [k, d], k ≤ m. `stored`: the rows of these people, all among the 5 nearest.
    """

    strangers: Floats
    nearest: NDArray[np.intp]
    known: Floats
    stored: Rows


def decoded(segment: Segment, rows: Rows | slice) -> Floats:
    """Return rows as their codes have them, in the coordinates of the segment, as unit vectors: float32 [n, d]."""
    values: Floats = segment.codes[rows] * segment.scale[rows][:, None] / segment.basis.weights()
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.float32(1e-30))
    return values


def questions_of(segment: Segment, known_cosine: float, random: np.random.Generator) -> Questions:
    """Draw rows of the segment, and find their nearest rows exactly.

    `known_cosine`: cosine of a new descriptor of a person with the stored one. It has the stored one's part of that
    size, and for the rest another person's descriptor. Where strangers are nearer, exact scans do not find the person
    either, and the question is left out.
    """
    count = len(segment.keys)
    own = np.sort(random.choice(count, min(ASKED, count), replace=False))
    strangers = decoded(segment, own)
    near = _nearest(segment, strangers, TOP + 1)
    nearest = np.array([rows[rows != row][:TOP] for row, rows in zip(own, near, strict=True)])
    others = np.roll(strangers, 1, axis=0)
    beside = others - (others * strangers).sum(axis=1, keepdims=True) * strangers
    beside /= np.maximum(np.linalg.norm(beside, axis=1, keepdims=True), np.float32(1e-30))
    known = (known_cosine * strangers + (1 - known_cosine**2) ** 0.5 * beside).astype(np.float32)
    met = np.array([row in rows for row, rows in zip(own, _nearest(segment, known, TOP), strict=True)])
    return Questions(strangers, nearest, known[met], own[met])


def _nearest(segment: Segment, vectors: Floats, limit: int) -> Iterator[Rows]:
    """Yield the `limit` nearest rows of each vector in the coordinates of the segment, nearest first."""
    for start in range(0, len(vectors), EXACT_AT_ONCE):
        some = vectors[start : start + EXACT_AT_ONCE]
        for vector, each in zip(some, _proposed(segment, _turned(segment, some), limit), strict=True):
            rows = segment.places(each.keys)
            yield rows[np.argsort(-(decoded(segment, rows) @ vector), kind="stable")[:limit]]


def _proposed(segment: Segment, vectors: Floats, limit: int) -> list[Proposed]:
    return proposals([(segment, NO_ROWS, None)], _no_loose(vectors), vectors, limit, -1.0)


def _turned(segment: Segment, vectors: Floats) -> Floats:
    """Return vectors in the coordinates of the segment as descriptors."""
    return vectors if segment.basis.rotation is None else vectors @ segment.basis.rotation


def _no_loose(vectors: Floats) -> tuple[Keys, Floats]:
    return np.empty(0, np.int64), vectors[:0]


def recall_of(fast: FastCodes, questions: Questions) -> Recall:
    """Return what fast codes find of the right rows."""
    candidates = max(fast.candidates, PER_RESULT * TOP)
    proposed = fast.near(questions.strangers, candidates)
    strangers = np.array([np.isin(right, rows) for right, rows in zip(questions.nearest, proposed, strict=True)])
    met = fast.near(questions.known, candidates) if len(questions.known) else []
    return Recall.of(strangers, np.array([row in rows for row, rows in zip(questions.stored, met, strict=True)], bool))


def fast_make(
    segment: Segment,
    *,
    target: float,
    known_cosine: float,
    progress: Progress = lambda share: None,
) -> Made:
    """Make the smallest fast codes of a segment whose recall reaches `target`; else those with the highest recall.

    `known_cosine`: see `questions_of`. `progress` gets the coded share of the rows, 0..1. Raises FAISS's errors.
    """
    with_one_thread()
    random = np.random.default_rng(SEED)
    count = len(segment.keys)
    sample = decoded(segment, np.sort(random.choice(count, min(SAMPLE_ROWS, count), replace=False)))
    spread, components = np.linalg.eigh(sample.T.astype(np.float64) @ sample)
    spread, components = spread[::-1], np.ascontiguousarray(components[:, ::-1].T, np.float32)
    questions = questions_of(segment, known_cosine, random)
    best: Made | None = None
    for shape in islice(_shapes_that_suffice(count, sample, spread, components, questions, segment, target), TRIES):
        projection = np.ascontiguousarray(components[_allocated(spread, shape)])
        fast = _made(segment, projection, shape, sample @ projection.T, progress)
        made = Made(fast, shape, recall_of(fast, questions))
        if best is None or (made.recall.strangers, made.recall.known or 0) > (
            best.recall.strangers,
            best.recall.known or 0,
        ):
            best = made
        if made.recall.reaches(target):
            break
    assert best is not None  # noqa: S101 - the largest shape always follows
    return best._replace(fast=replace(best.fast, exact_from=_exact_from(segment, best.fast, questions)))


def _exact_from(segment: Segment, fast: FastCodes, questions: Questions) -> int:
    """Return the number of vectors from which an exact scan takes less CPU time than fast codes.

    One exact scan reads all codes for all of its vectors. Its time is interpolated between one vector and a batch.
    """
    vectors = _turned(segment, questions.strangers[:EXACT_AT_ONCE])
    many = len(vectors)
    batch_s = _cpu_s(lambda: proposals_fast([(segment, NO_ROWS, fast)], _no_loose(vectors), vectors, TOP, -1.0))
    exact_s = _cpu_s(lambda: _proposed(segment, vectors, TOP))
    one_s = _cpu_s(lambda: _proposed(segment, vectors[:1], TOP))
    fast_s, more_s = batch_s / many, (exact_s - one_s) / (many - 1)  # for each vector, for each further vector
    return NEVER if fast_s <= more_s else max(1, math.ceil((one_s - more_s) / (fast_s - more_s)))


def _cpu_s(call: Callable[[], object]) -> float:
    """Return the least CPU time of this thread that a call takes."""
    times = []
    for _ in range(TIMED):
        started = time.thread_time()
        call()
        times.append(time.thread_time() - started)
    return min(times)


def _shapes(rows: int, dimension: int) -> list[Shape]:
    """Return the possible shapes, cheapest first."""
    pieces = [(many, each) for many in PIECES for each in COMPONENTS_PER_PIECE if many * each <= dimension]
    shapes = [Shape(*each, candidates) for each in pieces or [(dimension, 1)] for candidates in CANDIDATES]
    return sorted(shapes, key=lambda each: rows * each.pieces * PIECE_NS + each.candidates * CANDIDATE_NS)


def _shapes_that_suffice(
    rows: int,
    sample: Floats,
    spread: NDArray[np.float64],
    components: Floats,
    questions: Questions,
    segment: Segment,
    target: float,
) -> Iterator[Shape]:
    """Yield the shapes that seem to reach the target, cheapest first, and at last the one with the most pieces.

    The rank of a right row among all rows is estimated by its rank in the sample.
    """
    right = decoded(segment, questions.nearest.ravel())
    ranks: dict[tuple[int, int], tuple[NDArray[np.floating], NDArray[np.floating]]] = {}
    shapes = _shapes(rows, len(components))
    for shape in shapes:
        size = shape.pieces, shape.components
        if size not in ranks:
            projection = components[_allocated(spread, shape)]
            seen = _quantised(sample @ projection.T, shape)
            strangers = questions.strangers @ projection.T
            known = questions.known @ projection.T
            stored = seen(decoded(segment, questions.stored) @ projection.T)
            nearest = seen(right @ projection.T).reshape(*questions.nearest.shape, -1)
            others = seen(sample @ projection.T).T
            ranks[size] = (
                _share_above(strangers @ others, np.einsum("mc,mtc->mt", strangers, nearest)) * rows,
                _share_above(known @ others, np.einsum("mc,mc->m", known, stored)[:, None]) * rows,
            )
        found = Recall.of(*(each < shape.candidates for each in ranks[size]))
        if found.reaches(target):
            yield shape
    yield max(shapes, key=lambda each: (each.pieces, each.candidates))


def _share_above(others: NDArray[np.floating], right: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the share of products of other rows, [m, n], above each of the right ones, [m, t]: [m, t]."""
    ordered = np.sort(others, axis=1)
    places = [np.searchsorted(row, values, side="right") for row, values in zip(ordered, right, strict=True)]
    share: NDArray[np.float64] = 1 - np.array(places).reshape(right.shape) / ordered.shape[1]
    return share


def _quantised(values: Floats, shape: Shape) -> Callable[[Floats], Floats]:
    """Return the function that codes and decodes projected vectors, with quantisers trained on `values`."""
    import faiss

    quantiser: Any = faiss.ProductQuantizer(values.shape[1], shape.pieces, 4)
    quantiser.cp.min_points_per_centroid = 1  # no warning for small lists
    quantiser.train(np.ascontiguousarray(values))

    def seen(vectors: Floats) -> Floats:
        decoded: Floats = quantiser.decode(quantiser.compute_codes(np.ascontiguousarray(vectors)))
        return decoded

    return seen


def _allocated(spread: NDArray[np.float64], shape: Shape) -> NDArray[np.intp]:
    """Return the components in the order of their pieces: each piece gets about the same product of variances.

    Ge et al., Optimized Product Quantization, section 4.2: for normal data this is the best order.
    """
    wanted = shape.pieces * shape.components
    logs = np.log(np.maximum(spread[:wanted], spread[0] * 1e-9))
    logs -= logs.min()  # so that products grow with each component
    pieces: list[list[int]] = [[] for _ in range(shape.pieces)]
    products = np.zeros(shape.pieces)
    for component in range(wanted):
        piece = int(np.argmin(products))
        pieces[piece].append(component)
        products[piece] = np.inf if len(pieces[piece]) == shape.components else products[piece] + logs[component]
    return np.array([component for piece in pieces for component in piece], np.intp)


def _made(segment: Segment, projection: Floats, shape: Shape, training: Floats, progress: Progress) -> FastCodes:
    """Code all rows. `training`: projected rows, float32 [n, c]. `progress` gets 0..1."""
    import faiss

    index = faiss.IndexPQFastScan(len(projection), shape.pieces, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.min_points_per_centroid = 1
    index.train(np.ascontiguousarray(training))
    count = len(segment.keys)
    for start in range(0, count, BATCH_ROWS):
        index.add(np.ascontiguousarray(decoded(segment, slice(start, start + BATCH_ROWS)) @ projection.T))
        progress(start / count)
    return FastCodes(projection, index, shape.candidates, NEVER)
