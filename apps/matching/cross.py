"""Matching of many references with many candidates, for tasks: clustering, cross-matching, ROC, linking.

A request compares at most 30 references in one statement each. A task compares every object of a set with every object
of another: the descriptors of the candidates are read once, into a file without a name, and compared in blocks.
Memory depends neither on the number of references nor on that of candidates, except for 24 bytes per candidate.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from django.db import InterfaceError, OperationalError
from numpy.typing import NDArray

from apps.common import errors
from apps.common.config import Directories, config
from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.errors import LunaError
from apps.common.filters.language import ANY_OF
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
Check = Callable[[], None]
Sets = Candidates | Sequence[Candidates]
"""Objects: one set, or several without a common object."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CrossMatches:
    """Reference with its candidates: ids with similarities (0..1), most similar first, at least one."""

    reference_id: UUID
    matches: tuple[tuple[UUID, float], ...]


def cross_match(
    *,
    references: Candidates,
    candidates: Sets,
    version: DescriptorVersion,
    limit: int,
    threshold: float = 0.0,
    after: int = 0,
    until: int | None = None,
    check: Check = lambda: None,
) -> Iterator[CrossMatches]:
    """Yield each reference that has a match, in the order of creation, with its most similar candidates.

    A reference has at most `limit` matches, each with a similarity of at least `threshold` (0..1); equal similarities
    are in the order of creation. Objects without a descriptor of `version` are skipped. An object in both sets matches
    itself. `after`, `until`: the database keys of the references, `after` excluded. `check` is called for each block,
    and may raise an error.

    Raises LunaError CROSS_MATCHING_FAILED for an unexpected failure, which is logged.
    """
    with _failures(), stored_vectors(candidates, version, check) as (_, ids, matrix):
        for page in pages(references, version, group_rows(limit), after=after, until=until):
            yield from _matched(page, ids, matrix, version, limit, threshold, check)


def pairs_check(*, references: Sets, candidates: Sets, version: DescriptorVersion, general_limit: int) -> None:
    """Check the numbers of references and candidates with a descriptor of the version.

    Raises LunaError CROSS_MATCHING_OBJECTS_NOT_FOUND if there are none, TOO_MANY_CROSS_MATCHING_OBJECTS if the product
    of both numbers exceeds `general_limit`.
    """
    pairs = 1
    for name, objects in (("References", references), ("Candidates", candidates)):
        count = described_count(objects, version)
        if count == 0:
            raise LunaError(errors.CROSS_MATCHING_OBJECTS_NOT_FOUND, name)
        pairs *= count
    if pairs > general_limit:
        raise LunaError(errors.TOO_MANY_CROSS_MATCHING_OBJECTS, general_limit)


def lacking(references: Sets, version: DescriptorVersion) -> Iterator[tuple[UUID, LunaError]]:
    """Yield the references named by id that cannot be compared, each with the reason.

    The errors are TASK_REFERENCE_NOT_FOUND and TASK_REFERENCE_WITHOUT_DESCRIPTOR.
    """
    for objects in sets_of(references):
        named = dict.fromkeys(_named(objects))
        described = {found for page in pages(objects, version, PAGE_ROWS) for found in page.ids} if named else set()
        absent = [each for each in named if each not in described]
        there = _there(objects, absent) if absent else set()
        for each in absent:
            known = each in there
            code = errors.TASK_REFERENCE_WITHOUT_DESCRIPTOR if known else errors.TASK_REFERENCE_NOT_FOUND
            yield each, LunaError(code, each)


def sets_of(objects: Sets) -> Sequence[Candidates]:
    """Return the sets of which the objects consist."""
    return objects if isinstance(objects, Sequence) else (objects,)


def described_count(objects: Sets, version: DescriptorVersion) -> int:
    """Return the number of objects that have a descriptor of the version."""
    return sum(_count(each, version) for each in sets_of(objects))


def _count(candidates: Candidates, version: DescriptorVersion) -> int:
    if isinstance(candidates, AttributeCandidates):
        return len(_attributes(candidates, version).ids)
    count = faces_described_count if isinstance(candidates, FaceCandidates) else events_described_count
    return count(scope=candidates.scope, filters=candidates.filters, version=version)


def pages(
    candidates: Candidates, version: DescriptorVersion, rows: int, *, after: int = 0, until: int | None = None
) -> Iterator[VectorPage]:
    """Yield the descriptors of all objects in the order of creation, in pages of `rows`.

    `after`, `until`: the database keys of the objects, `after` excluded. Attributes are numbered from 1.
    """
    last = np.iinfo(np.int64).max if until is None else until
    if isinstance(candidates, AttributeCandidates):
        every = _attributes(candidates, version)  # once, because attributes expire
        for start in range(after, min(last, len(every.ids)), rows):
            yield _part(every, slice(start, min(start + rows, last)))
        return
    read: Callable[..., VectorPage] = faces_vectors if isinstance(candidates, FaceCandidates) else events_vectors
    while (page := read(
        scope=candidates.scope, filters=candidates.filters, version=version, after=after, limit=rows
    )).ids:  # fmt: skip
        inside = _part(page, slice(int(np.searchsorted(page.keys, last, "right"))))
        if inside.ids:
            yield inside
        if len(inside.ids) < len(page.ids):
            return
        after = int(page.keys[-1])


def _part(page: VectorPage, rows: slice) -> VectorPage:
    return VectorPage(page.keys[rows], page.ids[rows], page.vectors[rows])


def group_rows(limit: int) -> int:
    """Return the number of references that are compared together, so that their results fit into `RESULTS_BYTES`."""
    return max(1, min(GROUP_MAX, RESULTS_BYTES // (RESULT_BYTES * limit)))


def _attributes(candidates: AttributeCandidates, version: DescriptorVersion) -> VectorPage:
    ids, vectors = attributes_vectors(scope=candidates.scope, attribute_ids=candidates.attribute_ids, version=version)
    return VectorPage(np.arange(1, len(ids) + 1), tuple(ids), vectors)


@contextmanager
def stored_vectors(
    objects: Sets, version: DescriptorVersion, check: Check = lambda: None
) -> Iterator[tuple[Keys, Any, Vector]]:
    """Read objects into a file that no other process can open and that vanishes with this process.

    Yield their database keys, int64 [n], their ids, 16 bytes [n], and descriptors, float32 [n, dimension] mapped from
    the file. `check` is called for each page, and may raise an error.
    """
    keys, ids = bytearray(), bytearray()
    with tempfile.TemporaryFile(dir=config(Directories).tmp) as file:
        for page in (page for each in sets_of(objects) for page in pages(each, version, PAGE_ROWS)):
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
    page: VectorPage,
    ids: Any,
    matrix: Vector,
    version: DescriptorVersion,
    limit: int,
    threshold: float,
    check: Check,
) -> Iterator[CrossMatches]:
    calibration = version.calibration
    rows = max(1, BLOCK_BYTES // (4 * version.dimension))

    def blocks() -> Iterator[Vector]:
        for start in range(0, len(matrix), rows):
            check()
            yield matrix[start : start + rows]

    least = calibration.cosine(threshold) - ROUNDING
    found = nearest(page.vectors, blocks(), limit=limit, threshold=least)
    for reference_id, (places, cosines) in zip(page.ids, found, strict=True):
        scored = ((place, calibration.similarity(cosine)) for place, cosine in zip(places, cosines, strict=True))
        matches = tuple(
            (UUID(bytes=ids[place].tobytes()), similarity) for place, similarity in scored if similarity >= threshold
        )
        if matches:
            yield CrossMatches(reference_id, matches)


def _named(objects: Candidates) -> Iterator[UUID]:
    """Yield the ids that the filters name."""
    if isinstance(objects, AttributeCandidates):
        yield from objects.attribute_ids
        return
    name = "face_ids" if isinstance(objects, FaceCandidates) else "event_ids"
    for filters in (objects.filters, *objects.filters.get(ANY_OF, ())):
        yield from filters.get(name, ())


def _there(objects: Candidates, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of the ids that exist in the scope."""
    if isinstance(objects, AttributeCandidates):
        return {each.attribute_id for each in attributes_get(scope=objects.scope, attribute_ids=ids)}
    if isinstance(objects, EventCandidates):
        rows = events_filter(scope=objects.scope, filters={"event_ids": ids})
        return set(rows.values_list("event_id", flat=True))
    return set(faces_filter(scope=objects.scope, filters={"face_ids": ids}).values_list("face_id", flat=True))


@contextmanager
def _failures() -> Iterator[None]:
    """Turn an unexpected failure into LunaError CROSS_MATCHING_FAILED, and log it. A lost database is expected."""
    try:
        yield
    except (LunaError, OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("cross-matching failed")
        raise LunaError(errors.CROSS_MATCHING_FAILED) from error
