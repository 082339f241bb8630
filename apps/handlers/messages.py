"""Generated events as JSON: an item of the answer, the frame of a websocket, the body of a callback."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from apps.common.addresses import address
from apps.common.links import links
from apps.common.times import format_time
from apps.events.shapes import location_shape
from apps.handlers.types import Person, Sighting
from apps.recognition.body_shapes import body_attributes_block, body_detection_block
from apps.recognition.shapes import attributes_block, estimation_block, shown_detection, shown_estimations

AGGREGATED = ("emotions", "mask", "liveness", "deepfake")


def event_message(person: Person, shown: frozenset[str]) -> dict[str, Any]:
    """What websockets get."""
    return {
        "event": event_block(person, shown),
        "handler_id": _text(person.draft.handler_id),
        "event_create_time": format_time(person.draft.create_time),
        "event_end_time": format_time(person.draft.end_time),
    }


def event_block(person: Person, shown: frozenset[str]) -> dict[str, Any]:
    draft = person.draft
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
        "face": _face(person),
        "face_attributes": _face_attributes(person) if person.has_face else None,
        "body_attributes": _body_attributes(person),
        "matches": [
            {"label": found.label, "candidates": [candidate.shown for candidate in found.candidates]}
            for found in person.matches
        ],
        "aggregate_estimations": _aggregate_estimations(person, shown),
        "detections": [_detection(sighting, shown) for sighting in person.sightings],
    }


def _face(person: Person) -> dict[str, Any] | None:
    face = person.face
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


def _face_attributes(person: Person) -> dict[str, Any]:
    own: Mapping[str, str | None] = {"url": None, "external_url": None}
    if person.attribute_id is not None:
        own = links(address("attribute", person.attribute_id))
    score = None if person.descriptor is None else person.descriptor.score
    return {
        "attribute_id": _text(person.attribute_id),
        **own,
        "score": None if score is None else round(score, 4),
        "samples": [str(sample) for sample in person.samples],
        "basic_attributes": estimation_block("basic_attributes", person.estimations.get("basic_attributes")),
    }


def _body_attributes(person: Person) -> dict[str, Any] | None:
    """Null without a body; `score` is that of the descriptor."""
    if not person.has_body:
        return None
    score = None if person.body_descriptor is None else person.body_descriptor.score
    return {
        "score": None if score is None else round(score, 4),
        "samples": [str(sample) for sample in person.body_samples],
    }


def _aggregate_estimations(person: Person, shown: frozenset[str]) -> dict[str, Any]:
    estimations = shown_estimations(person.estimations, shown & set(AGGREGATED)) if person.aggregated else {}
    body = body_attributes_block(person.body_estimations, shown) if person.aggregated else {}
    return {"face": {"attributes": attributes_block(estimations)}, "body": {"attributes": body}}


def _detection(sighting: Sighting, shown: frozenset[str]) -> dict[str, Any]:
    details = sighting.picture.details
    return {
        "filename": sighting.picture.image.filename,
        "detect_time": format_time(details.detect_time),
        "detect_ts": details.detect_ts,
        "image_origin": sighting.image_origin,
        "samples": {
            "face": sample_block(sighting, shown),
            "body": _body_sample(sighting, shown),
        },
    }


def sample_block(sighting: Sighting, shown: frozenset[str]) -> dict[str, Any] | None:
    """`{sample_id, url, external_url, detection}`; the first three are null for a sample that is not stored.

    Null where no face was seen.
    """
    if sighting.face is None:
        return None
    return _sample(sighting.sample_id, sighting.sample_url, shown_detection(sighting.face, shown))


def _body_sample(sighting: Sighting, shown: frozenset[str]) -> dict[str, Any] | None:
    if sighting.body is None:
        return None
    return _sample(sighting.body_sample_id, sighting.body_sample_url, body_detection_block(sighting.body, shown))


def _sample(sample_id: UUID | None, url: str | None, detection: dict[str, Any]) -> dict[str, Any]:
    return {
        "sample_id": _text(sample_id),
        **({"url": None, "external_url": None} if url is None else links(url)),
        "detection": detection,
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)
