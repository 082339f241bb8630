"""Exact matcher: PostgreSQL compares faces and events, NumPy compares temporary attributes from Redis."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from apps.common.descriptors import DescriptorVersion, Vector
from apps.events.selectors import events_nearest
from apps.faces.attributes import attributes_vectors
from apps.faces.nearest import faces_nearest
from apps.matching.engine.matrix import nearest
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
    search = faces_nearest if isinstance(candidates, FaceCandidates) else events_nearest
    scope, filters = candidates.scope, candidates.filters
    return [
        [Hit(*found) for found in search(scope=scope, filters=filters, version=version, vector=vector, limit=limit)]
        for vector in vectors
    ]


def search_attributes(
    candidates: AttributeCandidates, version: DescriptorVersion, vectors: Sequence[Vector], limit: int
) -> list[list[Hit]]:
    """Search temporary attributes, at most a thousand, with NumPy; Redis returns complete attributes."""
    ids, matrix = attributes_vectors(scope=candidates.scope, attribute_ids=candidates.attribute_ids, version=version)
    return [
        [Hit(ids[place], cosine) for place, cosine in zip(places.tolist(), cosines.tolist(), strict=True)]
        for places, cosines in nearest(np.stack(vectors), [matrix], limit=limit, threshold=-math.inf)
    ]


Search = Callable[[Any, DescriptorVersion, Sequence[Vector], int], list[list[Hit]]]
SEARCHES: dict[type[Any], Search] = {
    FaceCandidates: search_rows,
    EventCandidates: search_rows,
    AttributeCandidates: search_attributes,
}
