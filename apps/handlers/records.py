"""Conversion of generated events to records of the events room."""

from dataclasses import replace
from uuid import UUID

from apps.events.shapes import StoredDetectionJson
from apps.events.types import EventRecord
from apps.handlers.types import EventPerson, GeneratedEvent
from apps.recognition.types import Rect


def event_record(event: GeneratedEvent) -> EventRecord:
    """Return the record to store: columns of the event, rows of its detections, and its descriptors."""
    persons = event.persons
    draft = replace(
        event.draft,
        face_detections=[_detection(each, each.face.rect, each.sample_id) for each in persons if each.face],
        body_detections=[_detection(each, each.body.rect, each.body_sample_id) for each in persons if each.body],
        notified=event.decision.websockets,
    )
    return EventRecord(draft, [each for each in (event.descriptor, event.body_descriptor) if each is not None])


def _detection(person: EventPerson, rect: Rect, sample_id: UUID | None) -> StoredDetectionJson:
    details = person.picture.details
    return {
        "sample_id": None if sample_id is None else str(sample_id),
        "detection": {"rect": {**rect.json()}},
        "detect_time": None if details.detect_time is None else details.detect_time.isoformat(),
        "detect_ts": details.detect_ts,
        "image_origin": person.image_origin,
    }
