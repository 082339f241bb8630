"""Decision of the database about what a plugin found: plugins propose, PostgreSQL decides."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal, cast
from uuid import UUID

from apps.common.descriptors import Vector
from apps.matching.engine.protocol import Hit, Matcher
from apps.matching.plugins.contract import SubRequest
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates

TOLERANCE = 1e-5  # of a plugin's cosines: above the rounding error of sums of float32 (about 1e-6 at 512 components)
MARGIN = 8  # candidates that a plugin returns beyond the limit, so that their cosines prove the last place

IDS_OF: dict[type[Candidates], str] = {FaceCandidates: "face_ids", EventCandidates: "event_ids"}
Doubt = Literal["disagreed", "unproven"]


def widened(request: SubRequest) -> SubRequest:
    """Return the sub-request that a plugin gets: with some more results and a slightly lower threshold."""
    return replace(request, limit=request.limit + MARGIN, threshold=request.threshold - TOLERANCE)


def decide(database: Matcher, request: SubRequest, vector: Vector, proposed: Sequence[Hit]) -> list[Hit] | Doubt:
    """Return the database's hits for one vector, found among the proposals of a plugin for `widened(request)`.

    The statement applies scope and filters of the candidates, and computes the cosines. Returns "disagreed" if a
    proposal is no candidate or has another cosine: the plugin's data is not up to date. Returns "unproven" if the
    tolerance does not separate the last hit from candidates that the plugin left out.
    """
    narrowed = among(request.candidates, [cast(UUID, hit.key) for hit in proposed])
    (found,) = database.search(narrowed, request.version, [vector], max(1, len(proposed)), -2.0) if proposed else ([],)
    if len(found) != len(proposed) or any(
        abs(hit.cosine - proposal.cosine) > TOLERANCE for hit, proposal in zip(found, proposed, strict=True)
    ):
        return "disagreed"
    hits = [hit for hit in found if hit.cosine >= request.threshold][: request.limit]
    if len(proposed) == widened(request).limit:
        others = proposed[-1].cosine + TOLERANCE  # no candidate that was left out has a higher cosine
        if others >= (hits[-1].cosine if len(hits) == request.limit else request.threshold):
            return "unproven"
    return hits


def among(candidates: Candidates, ids: Collection[UUID]) -> Candidates:
    """Return those of the candidates that have one of the ids."""
    if isinstance(candidates, AttributeCandidates):
        return replace(candidates, attribute_ids=tuple(each for each in candidates.attribute_ids if each in set(ids)))
    name = IDS_OF[type(candidates)]
    named = candidates.filters.get(name)
    kept = list(ids) if named is None else [each for each in ids if each in set(named)]
    return replace(candidates, filters={**candidates.filters, name: kept})
