"""Faces of events: the existing face of an event, or a new one with the event's descriptors, samples and attributes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID, uuid4

import numpy as np

from apps.common import errors
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.common.filters import Filters
from apps.common.scope import Scope
from apps.events.descriptors import detection_samples, events_descriptors
from apps.events.models import Event
from apps.faces.descriptors import faces_descriptors
from apps.faces.selectors import faces_filter
from apps.faces.types import AttributeData, BasicData, FaceDraft
from apps.imagestore.addresses import object_address
from apps.imagestore.choices import Bucket

EVENT_COLUMNS = (
    *("event_id", "face_id", "external_id", "user_data", "age", "gender", "ethnic_group"),
    "face_detections",
)
SAME_COSINE = 0.999  # of two extractions from the same samples; strangers and other pictures are far below


@dataclass(slots=True)
class EventFaces:
    """The faces of a batch of events.

    `keys`: of existing faces. `drafts`: of new faces. `ids`: of both, in the order of events. `errors`: by event id.
    """

    keys: list[int] = field(default_factory=list)
    drafts: list[FaceDraft] = field(default_factory=list)
    ids: list[UUID] = field(default_factory=list)
    errors: list[tuple[UUID, LunaError]] = field(default_factory=list)


class Known(NamedTuple):
    """An existing face of an event."""

    key: int
    face_id: UUID
    event_id: UUID | None
    samples: frozenset[UUID]


def event_faces(*, scope: Scope, events: Sequence[Event]) -> EventFaces:
    """Return the existing face of each event, or the draft of a new one.

    A face is of an event if the event names it, or if it names the event. Its attribute must equal that of the event,
    else the event's error is EVENT_ATTRIBUTE_MISMATCH. The error of an event without face descriptor and basic
    attributes is EMPTY_ATTRIBUTE.
    """
    found = EventFaces()
    attributes = _attributes(events)
    known = _known(scope, events)
    descriptors = faces_descriptors(keys=[each.key for faces in known.values() for each in faces])
    for event in events:
        attribute = attributes[event.pk]
        faces = known.get(event.event_id, ())
        same = next((each for each in faces if _equal(attribute, each, descriptors.get(each.key, ()))), None)
        if same is not None:
            found.keys.append(same.key)
            found.ids.append(same.face_id)
        elif faces:
            error = LunaError(errors.EVENT_ATTRIBUTE_MISMATCH, event.event_id, faces[0].face_id)
            found.errors.append((event.event_id, error))
        elif not attribute.descriptors and attribute.basic is None:
            found.errors.append((event.event_id, LunaError(errors.EMPTY_ATTRIBUTE)))
        else:
            found.ids.append(uuid4())
            found.drafts.append(_draft(found.ids[-1], event, attribute))
    return found


def _draft(face_id: UUID, event: Event, attribute: AttributeData) -> FaceDraft:
    samples = detection_samples(event.face_detections)
    return FaceDraft(
        face_id=face_id,
        event_id=event.event_id,
        external_id=event.external_id,
        user_data=event.user_data,
        avatar=object_address(Bucket.FACE_SAMPLES, samples[0]) if samples else None,
        attribute=attribute,
    )


def _attributes(events: Sequence[Event]) -> dict[int, AttributeData]:
    """Return the attribute that a face of each event has, by key of the event."""
    descriptors = events_descriptors(keys=[event.pk for event in events], kind="face")
    found = {}
    for event in events:
        own = tuple(descriptors.get(event.pk, ()))
        values = event.age, event.gender, event.ethnic_group
        basic = None if values == (None, None, None) else BasicData(*values)
        samples = detection_samples(event.face_detections)
        found[event.pk] = AttributeData(
            descriptors=own,
            basic=basic,
            descriptor_samples=samples if own else (),
            basic_samples=() if basic is None else samples,
        )
    return found


def _known(scope: Scope, events: Sequence[Event]) -> dict[UUID, list[Known]]:
    """Return the existing faces of events by event id: first the face that the event names, then the oldest first."""
    named = {event.face_id for event in events if event.face_id is not None}
    by_id = {face.face_id: face for face in _faces(scope, {"face_ids": list(named)})} if named else {}
    naming: dict[UUID | None, list[Known]] = {}
    for face in _faces(scope, {"event_ids": [event.event_id for event in events]}):
        naming.setdefault(face.event_id, []).append(face)
    found = {}
    for event in events:
        first = [by_id[event.face_id]] if event.face_id in by_id else []
        found[event.event_id] = first + [face for face in naming.get(event.event_id, ()) if face not in first]
    return found


def _faces(scope: Scope, filters: Filters) -> Iterator[Known]:
    """Yield the faces that pass the filters, oldest first."""
    rows = faces_filter(scope=scope, filters=filters).order_by("pk")
    columns = rows.values_list("pk", "face_id", "event_id", "attribute__descriptor_samples")
    for key, face_id, event_id, samples in columns:
        yield Known(key, face_id, event_id, frozenset(samples or ()))


def _equal(attribute: AttributeData, face: Known, descriptors: Sequence[Descriptor]) -> bool:
    """Return whether an event and a face have the same attribute: equal descriptors, else equal samples."""
    theirs = {each.version: each.vector for each in descriptors}
    pairs = [(each.vector, theirs[each.version]) for each in attribute.descriptors if each.version in theirs]
    if pairs:
        return all(float(np.dot(ours, other)) >= SAME_COSINE for ours, other in pairs)
    return face.samples == set(attribute.descriptor_samples) and bool(theirs) == bool(attribute.descriptors)
