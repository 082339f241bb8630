"""Verification: the similarity of descriptors with named objects, all of them, in the order of their names.

The matcher ranks candidates and omits those without a descriptor. A verification compares with each candidate, and a
candidate that cannot be compared is an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.common.descriptors import DescriptorVersion
from apps.common.errors import LunaError
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.events.selectors import events_filter
from apps.events.shapes import targets_columns
from apps.faces.attributes import attributes_get
from apps.faces.selectors import faces_page
from apps.matching.matcher import match_of, match_raw
from apps.matching.references import NOT_FOUND, CountLimit, references_resolve
from apps.matching.types import Found, Match, Probe, Reference

EVENT_MEMBERS = frozenset(
    ("event_id", "account_id", "external_id", "user_data", "create_time", "end_time", "handler_id", "source")
)
"""Members of an event in the result of a verification."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Stored object with its descriptor."""

    probe: Probe
    found: Found


@dataclass(frozen=True, slots=True, eq=False)
class Verified:
    """Comparison with one candidate. `status`: whether the similarity is greater than the threshold."""

    match: Match
    status: bool


def candidates_resolve(
    *, scope: Scope, references: Sequence[Reference], version: DescriptorVersion, limit: CountLimit
) -> list[Candidate]:
    """Return the objects of references with their descriptors, in order; an external id can name several objects.

    Raises the errors of `references_resolve`, also for an object that is deleted during the call.
    """
    resolved = references_resolve(scope=scope, references=references, version=version, limit=limit)
    found: dict[UUID, Found] = {}
    for kind, read in READS.items():
        ids = list(
            dict.fromkeys(
                probe.object_id for reference, probe in resolved if reference.type.startswith(kind) and probe.object_id
            )
        )
        found |= read(scope, ids) if ids else {}
    candidates = []
    for reference, probe in resolved:
        if probe.object_id not in found:
            raise LunaError(NOT_FOUND[reference.type], reference.id)
        candidates.append(Candidate(probe, found[probe.object_id]))
    return candidates


def verify(
    *, probes: Sequence[Probe], candidates: Sequence[Candidate], threshold: float
) -> list[tuple[Verified, ...]]:  # fmt: skip
    """Compare each probe with each candidate; the results of a probe have the order of the candidates.

    `threshold`: 0..1. Raises the errors of `match_raw`.
    """
    if not probes:
        return []
    similarities = match_raw(references=probes, candidates=[each.probe for each in candidates])
    return [
        tuple(
            Verified(match_of(candidate.found, similarity), similarity > threshold)
            for candidate, similarity in zip(candidates, row, strict=True)
        )
        for row in similarities
    ]


def _faces(scope: Scope, ids: list[UUID]) -> Mapping[UUID, Found]:
    rows = faces_page(scope=scope, filters={"face_ids": ids}, page=Page(size=len(ids)))
    return {row.face_id: row for row in rows}


def _events(scope: Scope, ids: list[UUID]) -> Mapping[UUID, Found]:
    rows = events_filter(scope=scope, filters={"event_ids": ids}).only(*targets_columns(EVENT_MEMBERS))
    return {row.event_id: row for row in rows}


def _attributes(scope: Scope, ids: list[UUID]) -> Mapping[UUID, Found]:
    return {found.attribute_id: found for found in attributes_get(scope=scope, attribute_ids=ids)}


READS: Mapping[str, Any] = {"face": _faces, "event": _events, "attribute": _attributes}
"""Reads of objects by the first word of a reference's type."""
