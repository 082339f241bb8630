"""Conversion of matches to JSON."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, NotRequired, TypedDict, cast

from apps.common.json_types import Component, IdJson, Json, TimeJson
from apps.common.times import format_time
from apps.events.shapes import TARGETS, StoredEventJson, event_body
from apps.events.shapes import targets_check as event_targets_check
from apps.faces.shapes import FACE_TARGETS, face_shape
from apps.faces.shapes import targets_check as face_targets_check
from apps.faces.types import TemporaryAttribute
from apps.matching.candidates import ATTRIBUTES, EVENTS, FACES
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, Match

SIMILARITY = "similarity"  # always included; accepted as a target
ATTRIBUTE_TARGETS = ("attribute_id", "account_id", "create_time")
TARGETS_OF: Mapping[str, Collection[str]] = {FACES: FACE_TARGETS, EVENTS: TARGETS, ATTRIBUTES: ATTRIBUTE_TARGETS}
"""Members of a matched object, by the origin of the candidates."""


class MatchedAttributeJson(TypedDict, total=False):
    """A temporary attribute. `targets` of the request select its members."""

    attribute_id: IdJson
    account_id: IdJson
    create_time: TimeJson


class MatchResultJson(TypedDict):
    """A match with one of `face`, `event` and `attribute`, by the origin of the candidates."""

    face: NotRequired[Annotated[Json, Component("Face")]]
    event: NotRequired[StoredEventJson]
    attribute: NotRequired[MatchedAttributeJson]
    similarity: float


def targets_check(block: Candidates, targets: Sequence[str]) -> frozenset[str]:
    """Return the members of a candidate to show: `targets`, or an empty set for all members.

    The result keeps `SIMILARITY`, which is no member: alone, it selects none. Raises LunaError BAD_EVENT_TARGET for an
    unknown member of an event, BAD_FACE_TARGET for an unknown member of a face or an attribute.
    """
    named = [name for name in targets if name != SIMILARITY]
    if isinstance(block, EventCandidates):
        event_targets_check(named)
    elif named or not targets:
        return face_targets_check(named, ATTRIBUTE_TARGETS if isinstance(block, AttributeCandidates) else FACE_TARGETS)
    return frozenset(targets)


def match_shape(match: Match, targets: Collection[str]) -> MatchResultJson:
    """Return `{face | event | attribute: {…}, similarity}` with the members of `targets_check`."""
    if match.face is not None:
        return {"face": face_shape(match.face, targets), "similarity": match.similarity}
    if match.event is not None:
        return {"event": event_body(match.event, targets), "similarity": match.similarity}
    assert match.attribute is not None  # noqa: S101  # one of the three is set
    return {"attribute": attribute_shape(match.attribute, targets), "similarity": match.similarity}


def attribute_shape(attribute: TemporaryAttribute, targets: Collection[str]) -> MatchedAttributeJson:
    """Return the members `targets` of a temporary attribute."""
    shape = {
        "attribute_id": str(attribute.attribute_id),
        "account_id": str(attribute.account_id),
        "create_time": format_time(attribute.create_time),
    }
    return cast(MatchedAttributeJson, {name: value for name, value in shape.items() if name in targets})
