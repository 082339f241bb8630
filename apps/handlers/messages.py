"""Generated events as JSON: an item of a response, a notification, the body of a callback."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict, cast
from uuid import UUID

from apps.common.addresses import address
from apps.common.json_types import IdJson, Json, TimeJson
from apps.common.links import NO_LINKS, LinksJson, OptionalLinksJson, links
from apps.common.times import format_time
from apps.events.shapes import (
    BODY_ATTRIBUTES,
    LabelMatchesJson,
    LocationJson,
    MatchCandidateJson,
    StoredBodyAttributesJson,
    TopMatchJson,
    event_body,
    location_shape,
    top_match_shape,
)
from apps.events.types import EventDraft
from apps.faces.shapes import FACE_TARGETS, face_shape
from apps.handlers.policies.match import EVENT_TARGETS
from apps.handlers.types import EventPerson, GeneratedEvent, LabelMatches
from apps.matching.shapes import ATTRIBUTE_TARGETS, SIMILARITY, attribute_shape
from apps.matching.types import Match
from apps.recognition.estimators.basic_attributes import BasicAttributesJson
from apps.recognition.request.aggregation import event_columns
from apps.recognition.shapes import (
    AttributesOfFaceJson,
    DetectionJson,
    FaceDetectionJson,
    attributes_block,
    detection_block,
    estimation_block,
    face_detection_block,
)

EPOCH = datetime.fromtimestamp(0, UTC)
NESTED_TARGETS = frozenset({"match_result", "top_match"})


class CreatedFaceJson(LinksJson):
    """The face that the event stored."""

    face_id: IdJson
    external_id: str
    user_data: str
    avatar: str | None
    event_id: IdJson | None
    lists: list[IdJson]


class GeneratedAttributeJson(OptionalLinksJson):
    """Temporary attribute with its samples. Id and addresses are null if it is not stored."""

    attribute_id: IdJson | None
    score: Annotated[float | None, "Score of the descriptor, 0 to 1."]
    samples: list[IdJson]
    basic_attributes: BasicAttributesJson | None


class GeneratedBodyAttributesJson(TypedDict):
    score: Annotated[float | None, "Score of the descriptor, 0 to 1."]
    samples: list[IdJson]


class EventBodyDetectionJson(DetectionJson):
    """A detected body, with its attributes in their stored form."""

    attributes: StoredBodyAttributesJson


class StoredSampleJson(OptionalLinksJson):
    sample_id: IdJson | None


class FaceSampleJson(StoredSampleJson):
    """A face and its sample. Id and addresses are null for a sample that is not stored."""

    detection: FaceDetectionJson


class BodySampleJson(StoredSampleJson):
    """A body and its sample. Id and addresses are null for a sample that is not stored."""

    detection: EventBodyDetectionJson


class SamplesOfDetectionJson(TypedDict):
    face: FaceSampleJson | None
    body: BodySampleJson | None


class EventDetectionJson(TypedDict):
    """A person in one image."""

    filename: str
    detect_time: TimeJson | None
    detect_ts: float | None
    image_origin: str | None
    samples: SamplesOfDetectionJson


class AttributesOfStoredBodyJson(TypedDict):
    attributes: StoredBodyAttributesJson


class EventAggregateJson(TypedDict):
    """Estimations of one person in several images; empty without aggregation."""

    face: AttributesOfFaceJson
    body: AttributesOfStoredBodyJson


class GeneratedEventJson(LinksJson):
    """Generated event with samples, matches and the stored face; enumerations are words."""

    event_id: IdJson
    source: str | None
    stream_id: IdJson | None
    track_id: str | None
    external_id: str
    user_data: str
    tags: list[str]
    location: LocationJson
    meta: Annotated[Json, "JSON object of the client."] | None
    face: CreatedFaceJson | None
    face_attributes: GeneratedAttributeJson | None
    body_attributes: GeneratedBodyAttributesJson | None
    matches: list[LabelMatchesJson]
    top_match: TopMatchJson | None
    aggregate_estimations: EventAggregateJson
    detections: list[EventDetectionJson]


def event_message(event: GeneratedEvent, shown: frozenset[str]) -> dict[str, Any]:
    """Return the message about an event that notifications and callbacks carry."""
    return {"event": event_block(event, shown), "handler_id": _text(event.draft.handler_id), **times_block(event.draft)}


def times_block(draft: EventDraft) -> dict[str, str]:
    """Return the times of a message in both spellings that clients read."""
    create_time, end_time = format_time(draft.create_time), format_time(draft.end_time)
    return {
        "event-create-time": create_time,
        "event-end-time": end_time,
        "event_create_time": create_time,
        "event_end_time": end_time,
    }


def event_block(event: GeneratedEvent, shown: frozenset[str]) -> GeneratedEventJson:
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
        "matches": [matches_block(each) for each in event.matches],
        "top_match": top_match_shape(draft),
        "aggregate_estimations": _aggregate_estimations(event, shown),
        "detections": [_detection(person, shown) for person in event.persons],
    }


def matches_block(found: LabelMatches, *, nested: bool = True) -> LabelMatchesJson:
    """Return an item of `matches`.

    `nested`: whether a matched event includes its own matches. Stored events omit them, because they would accumulate.
    """
    hidden = frozenset() if nested else NESTED_TARGETS
    return {"label": found.label, "candidates": [_match(match, found.targets, hidden) for match in found.matches]}


def _match(match: Match, targets: frozenset[str], hidden: frozenset[str]) -> MatchCandidateJson:
    found: MatchCandidateJson = {
        "face": None if match.face is None else face_shape(match.face, targets or FACE_TARGETS),
        "event": (
            None if match.event is None else event_body(match.event, (targets or EVENT_TARGETS) - hidden | {SIMILARITY})
        ),
        "similarity": match.similarity,
    }
    if match.attribute is not None:
        found["attribute"] = {**attribute_shape(match.attribute, targets or ATTRIBUTE_TARGETS)}
    return found


def _face(event: GeneratedEvent) -> CreatedFaceJson | None:
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


def face_attributes_block(event: GeneratedEvent) -> GeneratedAttributeJson:
    """Return `face_attributes` of an event: the temporary attribute and its samples."""
    score = None if event.descriptor is None else event.descriptor.score
    basic = estimation_block("basic_attributes", event.estimations.get("basic_attributes"))
    return {
        "attribute_id": _text(event.attribute_id),
        **_links(None if event.attribute_id is None else address("attribute", event.attribute_id)),
        "score": None if score is None else round(score, 4),
        "samples": [str(sample) for sample in event.samples],
        "basic_attributes": cast(BasicAttributesJson | None, basic),
    }


def _body_attributes(event: GeneratedEvent) -> GeneratedBodyAttributesJson | None:
    """Return `body_attributes`, None if the event has no body. `score` is the score of the descriptor."""
    if not event.has_body:
        return None
    score = None if event.body_descriptor is None else event.body_descriptor.score
    return {
        "score": None if score is None else round(score, 4),
        "samples": [str(sample) for sample in event.body_samples],
    }


def _aggregate_estimations(event: GeneratedEvent, shown: frozenset[str]) -> EventAggregateJson:
    of_face, of_body = (event.estimations, event.body_estimations) if event.aggregated else ({}, {})
    return {
        "face": {"attributes": attributes_block(of_face, shown)},
        "body": {"attributes": stored_form(attributes_block(of_body, shown), of_body)},
    }


def stored_form(attributes: Json, estimations: Mapping[str, object]) -> StoredBodyAttributesJson:
    """Return the attributes of a body with numbers and words as stored events hold them, instead of scores."""
    columns = EventDraft(create_time=EPOCH, **event_columns(estimations))
    stored = {name: BODY_ATTRIBUTES[name].shape(columns) for name in attributes if name in BODY_ATTRIBUTES}
    return cast(StoredBodyAttributesJson, attributes | stored)


def _detection(person: EventPerson, shown: frozenset[str]) -> EventDetectionJson:
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


def sample_block(person: EventPerson, shown: frozenset[str]) -> FaceSampleJson | None:
    """Return `{sample_id, url, external_url, detection}`, None if no face was detected.

    The first three are null for a sample that is not stored.
    """
    if person.face is None:
        return None
    return {
        **_sample(person.sample_id, person.sample_url),
        "detection": face_detection_block(person.face, shown),
    }


def _body_sample(person: EventPerson, shown: frozenset[str]) -> BodySampleJson | None:
    if person.body is None:
        return None
    estimations = person.body.estimations
    attributes = stored_form(attributes_block(estimations, shown), estimations)
    detection: EventBodyDetectionJson = {**detection_block(person.body), "attributes": attributes}
    return {**_sample(person.body_sample_id, person.body_sample_url), "detection": detection}


def _sample(sample_id: UUID | None, url: str | None) -> StoredSampleJson:
    return {"sample_id": _text(sample_id), **_links(url)}


def _links(path: str | None) -> OptionalLinksJson:
    return NO_LINKS if path is None else cast(OptionalLinksJson, links(path))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
