"""The matcher: the candidates that resemble a probe most, found exactly.

A scan reads one kind of candidates and gives keys with cosines, best first; matchers that keep candidates in memory
or in an index are further scans. Thresholds, limits and the order of ties are decided here, the same for all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import F, QuerySet
from django.db.models.functions import Cast
from pgvector.django import MaxInnerProduct, VectorField

from apps.common.descriptors import DescriptorVersion, Vector, versions
from apps.common.errors import LunaError
from apps.events import selectors as events
from apps.faces import attributes
from apps.faces import selectors as faces
from apps.faces.types import TemporaryAttribute
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates, Match, Probe


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate's key (of a row, or the temporary attribute itself) and its cosine with the probe."""

    key: Any
    cosine: float


Hits = list[Hit]
Matches = tuple[Match, ...]


def match(*, probes: Sequence[Probe], candidates: Candidates) -> tuple[Matches, ...]:
    """Compares each probe with all candidates: for each probe its matches, most similar first.

    Equal similarities stand in the order in which their objects were stored. Candidates without a descriptor of the
    probe's version are left out. Raises LunaError 31005 for probes of different versions, 12036 for an unknown one.
    """
    return tuple(matches for (matches,) in match_all(probes=probes, candidates=[candidates]))


def match_all(*, probes: Sequence[Probe], candidates: Sequence[Candidates]) -> tuple[tuple[Matches, ...], ...]:
    """`match` for several blocks of candidates: for each probe, for each block, its matches.

    One scan per probe and block, then one look at the faces and one at the events that came of all.
    """
    if not probes:
        return ()
    numbers = {probe.version for probe in probes}
    if len(numbers) > 1:
        raise LunaError(31005, ", ".join(map(str, sorted(numbers))))
    version = versions.get(numbers.pop())
    found = [_scan(block, version, [probe.vector for probe in probes]) for block in candidates]
    loaded = _Rows(candidates, found)
    similarity = version.calibration.similarity
    return tuple(
        tuple(
            tuple(
                row
                for hit in hits[number]
                if (score := similarity(hit.cosine)) >= block.threshold
                and (row := loaded.match(block, hit, score)) is not None
            )
            for block, hits in zip(candidates, found, strict=True)
        )
        for number in range(len(probes))
    )


class _Rows:
    """The objects behind the hits."""

    def __init__(self, candidates: Sequence[Candidates], found: Sequence[Sequence[Hits]]) -> None:
        keys: dict[type[Candidates], set[int]] = {FaceCandidates: set(), EventCandidates: set()}
        for block, per_probe in zip(candidates, found, strict=True):
            if not isinstance(block, AttributeCandidates):
                keys[type(block)].update(hit.key for hits in per_probe for hit in hits)
        self._faces = faces.faces_by_key(keys[FaceCandidates])
        self._events = events.events_by_key(keys[EventCandidates])

    def match(self, block: Candidates, hit: Hit, similarity: float) -> Match | None:
        """None for a row that was deleted since the scan."""
        if isinstance(block, FaceCandidates):
            face = self._faces.get(hit.key)
            return None if face is None else Match(similarity, face.face_id, face=face)
        if isinstance(block, EventCandidates):
            event = self._events.get(hit.key)
            return None if event is None else Match(similarity, event.event_id, event=event)
        attribute: TemporaryAttribute = hit.key
        return Match(similarity, attribute.attribute_id, attribute=attribute)


def _scan(block: Candidates, version: DescriptorVersion, vectors: Sequence[Vector]) -> list[Hits]:
    return SCANS[type(block)](block, version, vectors)


def scan_faces(block: FaceCandidates, version: DescriptorVersion, vectors: Sequence[Vector]) -> list[Hits]:
    rows = faces.face_descriptors(scope=block.scope, filters=block.filters, version=version.version)
    return _scan_rows(rows, "face_id", version, vectors, block.limit)


def scan_events(block: EventCandidates, version: DescriptorVersion, vectors: Sequence[Vector]) -> list[Hits]:
    rows = events.event_descriptors(scope=block.scope, filters=block.filters, version=version.version)
    return _scan_rows(rows, "event_id", version, vectors, block.limit)


def _scan_rows(
    rows: QuerySet[Any], key: str, version: DescriptorVersion, vectors: Sequence[Vector], limit: int
) -> list[Hits]:
    """One statement per vector: PostgreSQL computes every inner product and keeps the best."""
    # The column holds vectors of many dimensions; the cast to this version's is what its index would be built on.
    column = Cast(F("vector"), VectorField(dimensions=version.dimension))
    found = []
    for vector in vectors:
        distance = MaxInnerProduct(column, vector)
        best = rows.annotate(distance=distance).order_by("distance", key).values_list(key, "distance")[:limit]
        found.append([Hit(row, -negative_cosine) for row, negative_cosine in best])
    return found


def scan_attributes(block: AttributeCandidates, version: DescriptorVersion, vectors: Sequence[Vector]) -> list[Hits]:
    """They come out of Redis whole, at most a thousand: numpy compares them in float64."""
    ids = tuple(dict.fromkeys(block.attribute_ids))
    found = attributes.attributes_get(scope=block.scope, attribute_ids=ids)
    described = [
        (attribute, data.vector)
        for attribute in sorted(found, key=lambda each: (each.create_time, each.attribute_id))
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
