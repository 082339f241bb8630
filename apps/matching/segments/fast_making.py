"""Making of fast codes: their size, and the measurement of what they find.

Both are decided by searches with the list's own descriptors, whose right answers an exact scan knows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.matching.segments.codes import Floats
from apps.matching.segments.fast import PER_RESULT, FastCodes, with_one_thread
from apps.matching.segments.scan import Rows, Segment, proposals

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
TRIES = 3  # shapes that are made and measured, if their recall stays below the estimate

Progress = Callable[[float], None]


class Recall(NamedTuple):
    """Shares that fast codes find: of the 5 nearest faces of strangers, and of the stored faces of known people."""

    strangers: float
    known: float

    def reaches(self, target: float) -> bool:
        """Return whether strangers have the target, and a tenth of its misses is missed of known people."""
        return self.strangers >= target and self.known >= 1 - (1 - target) / 10


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

    `strangers`: the rows `own`, float32 [m, d]. `nearest`: their 5 nearest other rows, int [m, 5]. `known`: new
    descriptors of the same people, float32 [m, d].
    """

    own: Rows
    strangers: Floats
    nearest: NDArray[np.intp]
    known: Floats


def decoded(segment: Segment, rows: Rows | slice) -> Floats:
    """Return rows as their codes have them, in the coordinates of the segment, as unit vectors: float32 [n, d]."""
    values: Floats = segment.codes[rows] * segment.scale[rows][:, None] / segment.basis.weights()
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.float32(1e-30))
    return values


def questions_of(segment: Segment, known_cosine: float, random: np.random.Generator) -> Questions:
    """Draw rows of the segment, and find their nearest rows exactly.

    `known_cosine`: cosine of a new descriptor of a person with the stored one. It has the stored one's part of that
    size, and for the rest another person's descriptor.
    """
    count = len(segment.keys)
    own = np.sort(random.choice(count, min(ASKED, count), replace=False))
    strangers = decoded(segment, own)
    wanted = min(TOP, count - 1)
    nearest = np.empty((len(own), wanted), np.intp)
    loose = np.empty(0, np.int64), np.empty((0, strangers.shape[1]), np.float32)
    for start in range(0, len(own), EXACT_AT_ONCE):
        asked = strangers[start : start + EXACT_AT_ONCE]
        turned = asked if segment.basis.rotation is None else asked @ segment.basis.rotation
        found = proposals([(segment, np.empty(0, np.intp), None)], loose, turned, wanted + 1, -1.0)
        for place, each in enumerate(found, start=start):
            rows = np.setdiff1d(segment.places(each.keys), own[place : place + 1])
            cosines = decoded(segment, rows) @ strangers[place]
            nearest[place] = rows[np.argsort(-cosines, kind="stable")[:wanted]]
    others = np.roll(strangers, 1, axis=0)
    beside = others - (others * strangers).sum(axis=1, keepdims=True) * strangers
    beside /= np.maximum(np.linalg.norm(beside, axis=1, keepdims=True), np.float32(1e-30))
    known = known_cosine * strangers + (1 - known_cosine**2) ** 0.5 * beside
    return Questions(own, strangers, nearest, known.astype(np.float32))


def recall_of(fast: FastCodes, questions: Questions) -> Recall:
    """Return what fast codes find of the right rows."""
    candidates = max(fast.candidates, PER_RESULT * TOP)
    proposed = fast.near(questions.strangers, candidates)
    strangers = [np.isin(right, rows) for right, rows in zip(questions.nearest, proposed, strict=True)]
    met = fast.near(questions.known, candidates)
    known = [row in rows for row, rows in zip(questions.own, met, strict=True)]
    return Recall(float(np.mean(strangers)) if questions.nearest.size else 1.0, float(np.mean(known)))


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
        if best is None or made.recall > best.recall:
            best = made
        if made.recall.reaches(target):
            break
    assert best is not None  # noqa: S101 - the largest shape always follows
    return best


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
            own = seen(strangers)
            nearest = seen(right @ projection.T).reshape(*questions.nearest.shape, -1)
            others = seen(sample @ projection.T).T
            ranks[size] = (
                _share_above(strangers @ others, np.einsum("mc,mtc->mt", strangers, nearest)) * rows,
                _share_above(known @ others, np.einsum("mc,mc->m", known, own)[:, None]) * rows,
            )
        found = Recall(*(float((each < shape.candidates).mean()) if each.size else 1.0 for each in ranks[size]))
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
    return FastCodes(projection, index, shape.candidates)
