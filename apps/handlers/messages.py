"""Generated events as JSON: an item of a response, a notification, the body of a callback."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from apps.common.addresses import address
from apps.common.links import links
from apps.common.times import format_time
from apps.events.shapes import event_body, location_shape
from apps.faces.shapes import FACE_TARGETS, face_shape
from apps.handlers.policies.match import EVENT_TARGETS
from apps.handlers.types import EventPerson, GeneratedEvent, LabelMatches
from apps.matching.types import Match
from apps.recognition.shapes import attributes_block, body_detection_block, estimation_block, face_detection_block


def event_message(event: GeneratedEvent, shown: frozenset[str]) -> dict[str, Any]:
    """Return the message about an event that notifications and callbacks carry."""
    return {
        "event": event_block(event, shown),
        "handler_id": _text(event.draft.handler_id),
        "event_create_time": format_time(event.draft.create_time),
        "event_end_time": format_time(event.draft.end_time),
    }


def event_block(event: GeneratedEvent, shown: frozenset[str]) -> dict[str, Any]:
    """Return an item of `events`; `shown` names the estimations that it contains."""
    draft = event.draft
    return {
        "event_id": str(draft.event_id),
        **links(address("event", draft.event_id)),
        "source": draft.source,
        "stream_id": _text(draft.stream_id),
        "track_id": draft.track_id,
        "external_id": draft.external_id,
        "user_data": draft.user_data,
        "tags": list(draft.tags),
        "location": location_shape(draft),
        "meta": draft.meta,
        "face": _face(event),
        "face_attributes": face_attributes_block(event) if event.has_face else None,
        "body_attributes": _body_attributes(event),
        "matches": list(draft.match_result),
        "aggregate_estimations": _aggregate_estimations(event, shown),
        "detections": [_detection(person, shown) for person in event.persons],
    }


def matches_block(found: LabelMatches, targets: frozenset[str]) -> dict[str, Any]:
    """Return an item of `matches`.

    `targets` names the members of a matched face or event to include; an empty set includes all.
    """
    return {"label": found.label, "candidates": [_match(match, targets) for match in found.matches]}


def _match(match: Match, targets: frozenset[str]) -> dict[str, Any]:
    face, event = match.face, match.event
    return {
        "face": face and face_shape(face, targets.intersection(FACE_TARGETS) if targets else FACE_TARGETS),
        "event": event and event_body(event, targets or EVENT_TARGETS),
        "similarity": match.similarity,
    }


def _face(event: GeneratedEvent) -> dict[str, Any] | None:
    face = event.face
    if face is None:
        return None
    return {
        "face_id": str(face.face_id),
        **links(address("face", str(face.face_id))),
        "external_id": face.external_id,
        "user_data": face.user_data,
        "avatar": face.avatar,
        "event_id": _text(face.event_id),
        "lists": [str(list_id) for list_id in face.lists],
    }


def face_attributes_block(event: GeneratedEvent) -> dict[str, Any]:
    """Return `face_attributes` of an event: the temporary attribute and its samples."""
    own: Mapping[str, str | None] = {"url": None, "external_url": None}
    if event.attribute_id is not None:
        own = links(address("attribute", event.attribute_id))
    score = None if event.descriptor is None else event.descriptor.score
    return {
        "attribute_id": _text(event.attribute_id),
        **own,
        "score": None if score is None else round(score, 4),
        "samples": [str(sample) for sample in event.samples],
        "basic_attributes": estimation_block("basic_attributes", event.estimations.get("basic_attributes")),
    }


def _body_attributes(event: GeneratedEvent) -> dict[str, Any] | None:
    """Return `body_attributes`, None if the event has no body. `score` is the score of the descriptor."""
    if not event.has_body:
        return None
    score = None if event.body_descriptor is None else event.body_descriptor.score
    return {
        "score": None if score is None else round(score, 4),
        "samples": [str(sample) for sample in event.body_samples],
    }


def _aggregate_estimations(event: GeneratedEvent, shown: frozenset[str]) -> dict[str, Any]:
    of_face, of_body = (event.estimations, event.body_estimations) if event.aggregated else ({}, {})
    return {
        "face": {"attributes": attributes_block(of_face, shown)},
        "body": {"attributes": attributes_block(of_body, shown)},
    }


def _detection(person: EventPerson, shown: frozenset[str]) -> dict[str, Any]:
    details = person.picture.details
    return {
        "filename": person.picture.image.filename,
        "detect_time": format_time(details.detect_time),
        "detect_ts": details.detect_ts,
        "image_origin": person.image_origin,
        "samples": {
            "face": sample_block(person, shown),
            "body": _body_sample(person, shown),
        },
    }


def sample_block(person: EventPerson, shown: frozenset[str]) -> dict[str, Any] | None:
    """Return `{sample_id, url, external_url, detection}`, None if no face was detected.

    The first three are null for a sample that is not stored.
    """
    if person.face is None:
        return None
    return _sample(person.sample_id, person.sample_url, face_detection_block(person.face, shown))


def _body_sample(person: EventPerson, shown: frozenset[str]) -> dict[str, Any] | None:
    if person.body is None:
        return None
    return _sample(person.body_sample_id, person.body_sample_url, body_detection_block(person.body, shown))


def _sample(sample_id: UUID | None, url: str | None, detection: dict[str, Any]) -> dict[str, Any]:
    return {
        "sample_id": _text(sample_id),
        **({"url": None, "external_url": None} if url is None else links(url)),
        "detection": detection,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
