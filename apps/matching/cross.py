"""Matching of many references with many candidates, for tasks: clustering, cross-matching, ROC, linking.

A request compares at most 30 references in one statement each. A task compares every object of a set with every object
of another: the descriptors of the candidates are read once, into a file without a name, and compared in blocks.
Memory depends neither on the number of references nor on that of candidates, except for 24 bytes per candidate.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from apps.common import errors
from apps.common.config import Directories, config
from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.errors import LunaError
from apps.common.vectors import VectorPage
from apps.events.descriptors import events_described_count, events_vectors
from apps.events.selectors import events_filter
from apps.faces.attributes import attributes_get, attributes_vectors
from apps.faces.descriptors import faces_described_count, faces_vectors
from apps.faces.selectors import faces_filter
from apps.matching.engine.matrix import nearest
from apps.matching.matcher import ROUNDING
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates

PAGE_ROWS = 4096
BLOCK_BYTES = 8 << 20  # of candidates per product: they stay in the processor's cache while references pass by
RESULTS_BYTES = 64 << 20  # of places and cosines that one group of references may hold
RESULT_BYTES = 16
GROUP_MAX = 1024
Keys = NDArray[np.int64]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CrossMatches:
    """Reference with its candidates: ids with similarities (0..1), most similar first, at least one."""

    reference_id: UUID
    matches: tuple[tuple[UUID, float], ...]


def cross_match(
    *,
    references: Candidates,
    candidates: Candidates,
    version: DescriptorVersion,
    limit: int,
    threshold: float = 0.0,
    general_limit: int | None = None,
    required: bool = False,
) -> Iterator[CrossMatches]:
    """Yield each reference that has a match, in the order of creation, with its most similar candidates.

    A reference has at most `limit` matches, each with a similarity of at least `threshold` (0..1); equal similarities
    are in the order of creation. Objects without a descriptor of `version` are skipped. An object in both sets matches
    itself. `general_limit`: maximum product of the numbers of references and candidates. `required`: references that
    are named by id must exist and have a descriptor.

    Raises LunaError TOO_MANY_CROSS_MATCHING_OBJECTS above `general_limit`; with `required` TASK_REFERENCE_NOT_FOUND and
    TASK_REFERENCE_WITHOUT_DESCRIPTOR; CROSS_MATCHING_FAILED for an unexpected failure, which is logged.
    """
    with _failures():
        if required:
            _check_named(references, version)
        if general_limit is not None:
            objects = described_count(references, version) * described_count(candidates, version)
            if objects > general_limit:
                raise LunaError(errors.TOO_MANY_CROSS_MATCHING_OBJECTS, general_limit)
        with stored_vectors(candidates, version) as (_, ids, matrix):
            for page in pages(references, version, group_rows(limit)):
                yield from _matched(page, ids, matrix, version, limit, threshold)


def described_count(candidates: Candidates, version: DescriptorVersion) -> int:
    """Return the number of objects that have a descriptor of the version."""
    if isinstance(candidates, AttributeCandidates):
        return len(_attributes(candidates, version).ids)
    count = faces_described_count if isinstance(candidates, FaceCandidates) else events_described_count
    return count(scope=candidates.scope, filters=candidates.filters, version=version)


def pages(candidates: Candidates, version: DescriptorVersion, rows: int) -> Iterator[VectorPage]:
    """Yield the descriptors of all objects in the order of creation, in pages of `rows`."""
    if isinstance(candidates, AttributeCandidates):
        every = _attributes(candidates, version)
        for start in range(0, len(every.ids), rows):
            rows_of = slice(start, start + rows)
            yield VectorPage(every.keys[rows_of], every.ids[rows_of], every.vectors[rows_of])
        return
    read: Callable[..., VectorPage] = faces_vectors if isinstance(candidates, FaceCandidates) else events_vectors
    after = 0
    while (page := read(
        scope=candidates.scope, filters=candidates.filters, version=version, after=after, limit=rows
    )).ids:  # fmt: skip
        yield page
        after = int(page.keys[-1])


def group_rows(limit: int) -> int:
    """Return the number of references that are compared together, so that their results fit into `RESULTS_BYTES`."""
    return max(1, min(GROUP_MAX, RESULTS_BYTES // (RESULT_BYTES * limit)))


def _attributes(candidates: AttributeCandidates, version: DescriptorVersion) -> VectorPage:
    ids, vectors = attributes_vectors(scope=candidates.scope, attribute_ids=candidates.attribute_ids, version=version)
    return VectorPage(np.arange(len(ids)), tuple(ids), vectors)


@contextmanager
def stored_vectors(
    candidates: Candidates, version: DescriptorVersion, check: Callable[[], None] = lambda: None
) -> Iterator[tuple[Keys, Any, Vector]]:
    """Read the candidates into a file that no other process can open and that vanishes with this process.

    Yield their database keys, int64 [n], their ids, 16 bytes [n], and descriptors, float32 [n, dimension] mapped from
    the file. `check` is called for each page, and may raise an error.
    """
    keys, ids = bytearray(), bytearray()
    with tempfile.TemporaryFile(dir=config(Directories).tmp) as file:
        for page in pages(candidates, version, PAGE_ROWS):
            check()
            keys += page.keys.tobytes()
            ids += b"".join(each.bytes for each in page.ids)
            file.write(page.vectors.tobytes())
        file.flush()
        count = len(ids) // 16
        shape = (count, version.dimension)
        yield (
            np.frombuffer(keys, np.int64),
            np.frombuffer(ids, "V16"),
            np.memmap(file, np.float32, "r", shape=shape) if count else np.empty(shape, np.float32),
        )


def _matched(
    page: VectorPage, ids: Any, matrix: Vector, version: DescriptorVersion, limit: int, threshold: float
) -> Iterator[CrossMatches]:
    calibration = version.calibration
    rows = max(1, BLOCK_BYTES // (4 * version.dimension))
    blocks = (matrix[start : start + rows] for start in range(0, len(matrix), rows))
    least = calibration.cosine(threshold) - ROUNDING
    found = nearest(page.vectors, blocks, limit=limit, threshold=least)
    for reference_id, (places, cosines) in zip(page.ids, found, strict=True):
        scored = ((place, calibration.similarity(cosine)) for place, cosine in zip(places, cosines, strict=True))
        matches = tuple(
            (UUID(bytes=ids[place].tobytes()), similarity) for place, similarity in scored if similarity >= threshold
        )
        if matches:
            yield CrossMatches(reference_id, matches)


def _check_named(references: Candidates, version: DescriptorVersion) -> None:
    """Check that references named by id exist and have a descriptor of the version.

    Raises LunaError TASK_REFERENCE_NOT_FOUND, TASK_REFERENCE_WITHOUT_DESCRIPTOR.
    """
    named = dict.fromkeys(_named(references))
    if not named:
        return
    described = {found for page in pages(references, version, PAGE_ROWS) for found in page.ids}
    lacking = [each for each in named if each not in described]
    if not lacking:
        return
    there = _there(references)
    for each in lacking:
        if each not in there:
            raise LunaError(errors.TASK_REFERENCE_NOT_FOUND, each)
    raise LunaError(errors.TASK_REFERENCE_WITHOUT_DESCRIPTOR, lacking[0])


def _named(references: Candidates) -> tuple[UUID, ...]:
    if isinstance(references, AttributeCandidates):
        return references.attribute_ids
    name = "face_ids" if isinstance(references, FaceCandidates) else "event_ids"
    return tuple(references.filters.get(name, ()))


def _there(references: Candidates) -> set[UUID]:
    """Return the ids of the existing objects among the references."""
    scope = references.scope
    if isinstance(references, AttributeCandidates):
        return {each.attribute_id for each in attributes_get(scope=scope, attribute_ids=references.attribute_ids)}
    if isinstance(references, EventCandidates):
        return set(events_filter(scope=scope, filters=references.filters).values_list("event_id", flat=True))
    return set(faces_filter(scope=scope, filters=references.filters).values_list("face_id", flat=True))


@contextmanager
def _failures() -> Iterator[None]:
    """Turn an unexpected failure into LunaError CROSS_MATCHING_FAILED, and log it."""
    try:
        yield
    except LunaError:
        raise
    except Exception as error:
        logger.exception("cross-matching failed")
        raise LunaError(errors.CROSS_MATCHING_FAILED) from error
