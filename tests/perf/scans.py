"""CPU time of scans of one list in the same turns: the platform's codes and fast codes, FAISS, USearch, and a read of
the codes."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import faiss
import numpy as np
import usearch.index
from numpy.typing import NDArray
from usearch.compiled import MetricKind

from apps.common.config import config
from apps.matching.config import MatchingSpeed
from apps.matching.segments.codes import Floats
from apps.matching.segments.copies import ListCopy
from apps.matching.segments.fast import NEVER, FastCodes, proposals_fast
from apps.matching.segments.fast_making import Made, fast_make
from apps.matching.segments.scan import Proposed, proposals
from tests.perf.report import Row, percentile

ROUNDS = int(os.environ.get("LUNA_BENCH_ROUNDS", "9"))
BATCH = 30
PROBES = 100  # strangers and known people each
LIMITS = (5, 100)
ANY = -1.0  # threshold of similarity 0
GOALS = {  # of a million 512-d faces; (vectors, limit, threshold of similarity .8)
    (1, 5, False): "<= .30",
    (1, 5, True): "<= .17",
    (BATCH, 5, False): "<= .125",
    (1, 100, False): "<= .33",
}
FAST_GOALS = {(1, 5): "<= .05"}  # of the same; (vectors, limit)
FAST_STRANGERS, FAST_KNOWN = ">= .98", ">= .999"
GOAL_VALUES = 1_000_000 * 512
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Probes:
    """Descriptors to search, float32 [n, d]: `strangers` are not in the list, `known` people are."""

    strangers: Floats
    known: Floats

    @property
    def batch(self) -> Floats:
        """Half strangers, half known people."""
        half = BATCH // 2
        return np.concatenate((self.strangers[:half], self.known[: BATCH - half]))


@dataclass(frozen=True, eq=False)
class Way:
    """One scan, and the name of the scan that its time is compared with."""

    call: Callable[[], Any]
    base: str
    goal: str = ""


def scans(name: str, stored: Floats, copy: ListCopy, probes: Probes, cosine: float) -> Iterator[Row]:
    """Yield the times as medians, with the median of the ratios of each turn to FAISS IndexFlatIP.

    `stored`: the descriptors of the list in the order of keys. `cosine`: the threshold of similarity .8.
    """
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(stored.shape[1])
    flat.add(stored)
    made = fast_make(
        copy.segments[0].segment, target=config(MatchingSpeed).recall, known_cosine=min(0.95, max(0.3, cosine))
    )
    ways = _libraries(stored, flat, copy, probes) | _own(copy, probes, cosine) | _fast(copy, made.fast, probes, cosine)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(ROUNDS + 1):
        for way, each in ways.items():
            started = time.process_time()
            each.call()
            if turn:
                times[way].append((time.process_time() - started) * 1e3)
    for way, each in ways.items():
        value, baseline = percentile(times[way], 50), percentile(times[each.base], 50)
        ratio = percentile([mine / other for mine, other in zip(times[way], times[each.base], strict=True)], 50)
        yield Row(f"{name}: {way}", value, "ms", baseline, ratio, each.goal if stored.size >= GOAL_VALUES else "")
    yield from _recall(name, flat, copy, probes)
    yield from _recall_fast(f"{name}: fast, {_shape(made)}", flat, copy, made, probes, cosine)


def _base(vectors: int, limit: int) -> str:
    return f"FAISS IndexFlatIP, top {limit}{_of(vectors)}"


def _of(vectors: int) -> str:
    return f", batch of {vectors}" if vectors > 1 else ""


def _asked(probes: Probes, vectors: int) -> Floats:
    return probes.batch if vectors > 1 else probes.strangers[:1]


def _libraries(stored: Floats, flat: Any, copy: ListCopy, probes: Probes) -> dict[str, Way]:
    coarse = faiss.IndexScalarQuantizer(stored.shape[1], faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    coarse.train(stored[:20_000])
    coarse.add(stored)
    codes = copy.segments[0].segment.codes

    def search(index: Any, vectors: Floats, limit: int) -> Callable[[], Any]:
        return lambda: index.search(vectors, limit)

    def exact(rows: NDArray[Any], vectors: NDArray[Any], limit: int) -> Callable[[], Any]:
        return lambda: usearch.index.search(rows, vectors, limit, MetricKind.IP, exact=True, threads=1)

    ways = {}
    for vectors, limit in product((1, BATCH), LIMITS):
        asked, base = _asked(probes, vectors), _base(vectors, limit)
        ways[base] = Way(search(flat, asked, limit), base)
        ways[f"FAISS SQ8, top {limit}{_of(vectors)}"] = Way(search(coarse, asked, limit), base)
    for limit in LIMITS:  # batches gain nothing
        ways[f"USearch exact, top {limit}"] = Way(exact(stored, probes.strangers[:1], limit), _base(1, limit))
        ways[f"USearch exact int8, top {limit}"] = Way(exact(codes, codes[:1], limit), _base(1, limit))
    ways["reading the codes"] = Way(lambda: codes.reshape(-1).view(np.int64).max(), _base(1, LIMITS[0]))
    return ways


def _own(copy: ListCopy, probes: Probes, cosine: float) -> dict[str, Way]:
    def scan(vectors: Floats, limit: int, threshold: float) -> Callable[[], Any]:
        return lambda: proposed(copy, vectors, limit, threshold)

    ways = {}
    for vectors, limit, bounded in product((1, BATCH), LIMITS, (False, True)):
        base, goal = _base(vectors, limit), GOALS.get((vectors, limit, bounded), "")
        threshold, suffix = (cosine, ", similarity .8") if bounded else (ANY, "")
        if vectors > 1:
            ways[f"exact, top {limit}{suffix}{_of(vectors)}"] = Way(scan(probes.batch, limit, threshold), base, goal)
            continue
        for kind, asked in (("stranger", probes.strangers[:1]), ("known", probes.known[:1])):
            ways[f"exact, top {limit}{suffix}, {kind}"] = Way(scan(asked, limit, threshold), base, goal)
    return ways


def _fast(copy: ListCopy, codes: FastCodes, probes: Probes, cosine: float) -> dict[str, Way]:
    def scan(vectors: Floats, limit: int, threshold: float) -> Callable[[], Any]:
        return lambda: proposed_fast(copy, codes, vectors, limit, threshold)

    ways = {}
    for vectors, limit, bounded in product((1, BATCH), LIMITS, (False, True)):
        threshold, suffix = (cosine, ", similarity .8") if bounded else (ANY, "")
        call = scan(_asked(probes, vectors), limit, threshold)
        goal = FAST_GOALS.get((vectors, limit), "")
        ways[f"fast, top {limit}{suffix}{_of(vectors)}"] = Way(call, _base(vectors, limit), goal)
    return ways


def proposed_fast(
    copy: ListCopy, codes: FastCodes, vectors: Floats, limit: int, threshold: float
) -> Sequence[Proposed]:
    """Scan the fast codes of a list of one segment, without loose rows."""
    parts = [(copy.segments[0].segment, copy.state.dead[0], codes)]
    return proposals_fast(parts, _no_rows(vectors), vectors, limit, threshold)


def _no_rows(vectors: Floats) -> tuple[Places, Floats]:
    return np.empty(0, np.int64), np.empty((0, vectors.shape[1]), np.float32)


def proposed(copy: ListCopy, vectors: Floats, limit: int, threshold: float) -> Sequence[Proposed]:
    """Scan a list without loose rows."""
    parts = [(each.segment, dead, None) for each, dead in zip(copy.segments, copy.state.dead, strict=True)]
    return proposals(parts, _no_rows(vectors), vectors, limit, threshold)


def _recall(name: str, flat: Any, copy: ListCopy, probes: Probes) -> Iterator[Row]:
    """Yield the share of the nearest rows that the exact scan proposes, and how many rows it proposes for one place."""
    keys = copy.segments[0].segment.keys
    for limit in LIMITS:
        places: Places = flat.search(probes.batch, limit)[1]
        found = proposed(copy, probes.batch, limit, ANY)
        right = [np.isin(keys[row], each.keys).mean() for row, each in zip(places, found, strict=True)]
        yield Row(f"{name}: exact, top {limit}: recall", float(np.mean(right)), "", goal="1.000")
        rows = float(np.mean([len(each.keys) for each in found]))
        yield Row(f"{name}: exact, top {limit}: rows that PostgreSQL decides", rows, "")


def _shape(made: Made) -> str:
    return f"{made.shape.pieces} pieces of {made.shape.components}, {made.fast.candidates} candidates"


def _recall_fast(name: str, flat: Any, copy: ListCopy, made: Made, probes: Probes, cosine: float) -> Iterator[Row]:
    """Yield the shares that fast codes propose: of strangers' 5 nearest rows, and of known people's matches.

    A match is a row at or above the cosine, at most 100 for each vector. Batches may be scanned exactly, so fast codes
    are asked for each vector alone.
    """

    def one_by_one(vectors: Floats, limit: int, threshold: float) -> list[Proposed]:
        return [proposed_fast(copy, codes, vector[None], limit, threshold)[0] for vector in vectors]

    codes = replace(made.fast, exact_from=NEVER)
    keys, (few, many) = copy.segments[0].segment.keys, LIMITS
    places: Places = flat.search(probes.strangers, few)[1]
    found = one_by_one(probes.strangers, few, ANY)
    right = [np.isin(keys[row], each.keys).mean() for row, each in zip(places, found, strict=True)]
    yield Row(f"{name}: recall of strangers' top {few}", float(np.mean(right)), "", goal=FAST_STRANGERS)
    cosines, places = flat.search(probes.known, many)
    found = one_by_one(probes.known, many, cosine)
    matches = [
        np.isin(keys[row[near >= cosine]], each.keys) for row, near, each in zip(places, cosines, found, strict=True)
    ]
    yield Row(f"{name}: recall of matches of known people", float(np.concatenate(matches).mean()), "", goal=FAST_KNOWN)
    yield Row(f"{name}: recall measured at the making, strangers", made.recall.strangers, "")
    if made.recall.known is not None:
        yield Row(f"{name}: recall measured at the making, known people", made.recall.known, "")
    yield Row(f"{name}: vectors of a search from which it is exact", made.fast.exact_from, "")
