"""The matcher: the candidates that resemble a probe most, found exactly.

A scan compares every candidate of one kind and gives the best of them with cosines; matchers that keep candidates in
memory or in an index are further scans. Similarity and threshold are decided here, the same for all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import F
from django.db.models.functions import Cast
from pgvector.django import MaxInnerProduct, VectorField

from apps.common import errors
from apps.common.descriptors import DescriptorVersion, Vector, versions
from apps.common.errors import LunaError
from apps.events.models import Event
from apps.events.selectors import event_descriptors, events_by_key
from apps.faces.attributes import attributes_get
from apps.faces.models import Face
from apps.faces.nearest import faces_nearest
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates, Match, Probe


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate (a row or a temporary attribute) and its cosine with the probe."""

    found: Any
    cosine: float


Hits = list[Hit]
Matches = tuple[Match, ...]


def match(*, probes: Sequence[Probe], candidates: Candidates) -> tuple[Matches, ...]:
    """Compares each probe with all candidates: for each probe its matches, most similar first.

    Equal similarities stand in the order in which their objects were stored. Candidates without a descriptor of the
    probe's version are left out. Raises LunaError MIXED_DESCRIPTOR_VERSIONS for probes of different versions,
    UNKNOWN_DESCRIPTOR_VERSION for an unknown one.
    """
    return tuple(matches for (matches,) in match_all(probes=probes, candidates=[candidates]))


def match_all(*, probes: Sequence[Probe], candidates: Sequence[Candidates]) -> tuple[tuple[Matches, ...], ...]:
    """`match` for several blocks of candidates: for each probe, for each block, its matches."""
    if not probes:
        return ()
    numbers = {probe.version for probe in probes}
    if len(numbers) > 1:
        raise LunaError(errors.MIXED_DESCRIPTOR_VERSIONS, ", ".join(map(str, sorted(numbers))))
    version = versions.get(numbers.pop())
    vectors = [probe.vector for probe in probes]
    per_block = [
        [_matches(block, version, hits) for hits in SCANS[type(block)](block, version, vectors)] for block in candidates
    ]
    return tuple(zip(*per_block, strict=True)) if per_block else tuple(() for _ in probes)


def match_raw(*, references: Sequence[Probe], candidates: Sequence[Probe]) -> list[list[float]]:
    """Similarities of each reference with each candidate, in their order, without any storage.

    Raises LunaError MIXED_DESCRIPTOR_VERSIONS for descriptors of different versions, DESCRIPTOR_VERSION_MISMATCH for
    a version that is not the default.
    """
    numbers = {probe.version for probe in (*references, *candidates)}
    if len(numbers) > 1:
        raise LunaError(errors.MIXED_DESCRIPTOR_VERSIONS, ", ".join(map(str, sorted(numbers))))
    version = versions.get(numbers.pop())
    if version != versions.default(version.kind):
        raise LunaError(errors.DESCRIPTOR_VERSION_MISMATCH, version.version, versions.default(version.kind).version)
    rows, columns = (
        np.stack([probe.vector for probe in probes]).astype(np.float64) for probes in (references, candidates)
    )
    return [[version.calibration.similarity(cosine) for cosine in row] for row in rows @ columns.T]


def _matches(block: Candidates, version: DescriptorVersion, hits: Hits) -> Matches:
    scored = [(hit.found, version.calibration.similarity(hit.cosine)) for hit in hits]
    return tuple(_match(found, similarity) for found, similarity in scored if similarity >= block.threshold)


def _match(found: Any, similarity: float) -> Match:
    if isinstance(found, Face):
        return Match(similarity, found.face_id, face=found)
    if isinstance(found, Event):
        return Match(similarity, found.event_id, event=found)
    return Match(similarity, found.attribute_id, attribute=found)


def scan_faces(block: FaceCandidates, version: DescriptorVersion, vectors: Sequence[Vector]) -> list[Hits]:
    """One statement per vector."""
    return [
        [
            Hit(near.face, near.cosine)
            for near in faces_nearest(
                scope=block.scope, filters=block.filters, version=version, vector=vector, limit=block.limit
            )
        ]
        for vector in vectors
    ]


def scan_events(block: EventCandidates, version: DescriptorVersion, vectors: Sequence[Vector]) -> list[Hits]:
    """One statement per vector, and one for the events that came of all."""
    rows = event_descriptors(scope=block.scope, filters=block.filters, version=version.version)
    # The column holds vectors of many dimensions; the cast to this version's is what its index would be built on.
    column = Cast(F("vector"), VectorField(dimensions=version.dimension))
    nearest = [
        list(
            rows.annotate(distance=MaxInnerProduct(column, vector))
            .order_by("distance", "event_id")
            .values_list("event_id", "distance")[: block.limit]
        )
        for vector in vectors
    ]
    events = events_by_key({key for found in nearest for key, _ in found})
    return [[Hit(events[key], -distance) for key, distance in found if key in events] for found in nearest]


def scan_attributes(block: AttributeCandidates, version: DescriptorVersion, vectors: Sequence[Vector]) -> list[Hits]:
    """They come out of Redis whole, at most a thousand: numpy compares them in float64."""
    ids = tuple(dict.fromkeys(block.attribute_ids))
    described = [
        (attribute, data.vector)
        for attribute in sorted(
            attributes_get(scope=block.scope, attribute_ids=ids),
            key=lambda each: (each.create_time, each.attribute_id),
        )
        if (data := attribute.data.descriptor(version.version)) is not None
    ]
    if not described:
        return [[] for _ in vectors]
    matrix = np.stack([vector for _, vector in described]).astype(np.float64)
    cosines = np.stack(vectors).astype(np.float64) @ matrix.T
    return [
        [Hit(described[index][0], float(row[index])) for index in np.argsort(-row, kind="stable")[: block.limit]]
        for row in cosines
    ]


Scan = Callable[[Any, DescriptorVersion, Sequence[Vector]], list[Hits]]
SCANS: dict[type[Any], Scan] = {
    FaceCandidates: scan_faces,
    EventCandidates: scan_events,
    AttributeCandidates: scan_attributes,
}
