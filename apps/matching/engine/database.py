"""Exact matcher: PostgreSQL compares faces and events, NumPy compares temporary attributes from Redis."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from apps.common.descriptors import DescriptorVersion, Vector
from apps.events.selectors import events_nearest
from apps.faces.attributes import attributes_get
from apps.faces.nearest import faces_nearest
from apps.matching.engine.protocol import Hit
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates


class DatabaseMatcher:
    """Exact implementation of `protocol.Matcher` for all candidates."""

    def search(
        self,
        candidates: Candidates,
        version: DescriptorVersion,
        vectors: Sequence[Vector],
        limit: int,
        threshold: float,
    ) -> list[list[Hit]]:
        found = SEARCHES[type(candidates)](candidates, version, vectors, limit)
        return [[hit for hit in hits if hit.cosine >= threshold] for hits in found]


def search_rows(
    candidates: FaceCandidates | EventCandidates, version: DescriptorVersion, vectors: Sequence[Vector], limit: int
) -> list[list[Hit]]:
    """Search faces or events with one statement per vector: a batch of vectors gains nothing in SQL."""
    nearest = faces_nearest if isinstance(candidates, FaceCandidates) else events_nearest
    scope, filters = candidates.scope, candidates.filters
    return [
        [Hit(*found) for found in nearest(scope=scope, filters=filters, version=version, vector=vector, limit=limit)]
        for vector in vectors
    ]


def search_attributes(
    candidates: AttributeCandidates, version: DescriptorVersion, vectors: Sequence[Vector], limit: int
) -> list[list[Hit]]:
    """Search temporary attributes, at most a thousand, with NumPy in float64; Redis returns complete attributes."""
    described = [
        (attribute.attribute_id, data.vector)
        for attribute in sorted(
            attributes_get(scope=candidates.scope, attribute_ids=tuple(dict.fromkeys(candidates.attribute_ids))),
            key=lambda each: (each.create_time, each.attribute_id),
        )
        if (data := attribute.data.descriptor(version.version)) is not None
    ]
    if not described:
        return [[] for _ in vectors]
    matrix = np.stack([vector for _, vector in described]).astype(np.float64)
    # `@` is not used: BLAS sums rows in an order that depends on their position, so equal descriptors would get
    # different cosines.
    cosines = np.einsum("ij,kj->ik", np.stack(vectors).astype(np.float64), matrix)
    return [
        [Hit(described[index][0], float(row[index])) for index in np.argsort(-row, kind="stable")[:limit]]
        for row in cosines
    ]


Search = Callable[[Any, DescriptorVersion, Sequence[Vector], int], list[list[Hit]]]
SEARCHES: dict[type[Any], Search] = {
    FaceCandidates: search_rows,
    EventCandidates: search_rows,
    AttributeCandidates: search_attributes,
}
