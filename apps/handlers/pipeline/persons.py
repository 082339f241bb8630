"""From detections to persons: one a face or body, or one for all pictures when they are aggregated; with drafts."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from apps.common.descriptors import Descriptor
from apps.common.filters.enums import Deepfake, Emotion, Liveness, Mask
from apps.common.times import utc_now
from apps.events.types import EventDraft, EventOrigin
from apps.faces.types import BasicData
from apps.handlers.pipeline.attributes import basic_of, descriptor_of
from apps.handlers.pipeline.bodies import body_columns
from apps.handlers.types import EventParams, Person, Sighting
from apps.recognition.inputs.types import DescriptorFile
from apps.recognition.request.aggregation import aggregate
from apps.recognition.request.body_aggregation import aggregate_bodies
from apps.recognition.request.screening import predominant


def persons_of_sightings(
    sightings: Sequence[Sighting], *, handler_id: UUID | None, params: EventParams, meta: Mapping[str, Any] | None
) -> list[Person]:
    """One person a sighting; one for all of them when the request aggregates."""
    if not params.aggregate:
        return [
            _person(
                (each,),
                {} if each.face is None else each.face.estimations,
                {} if each.body is None else each.body.estimations,
                handler_id,
                params,
                _joined(meta, each.picture.details.meta),
            )
            for each in sightings
        ]
    if not sightings:
        return []
    face = aggregate([each.face.estimations for each in sightings if each.face is not None])
    body = aggregate_bodies([each.body.estimations for each in sightings if each.body is not None])
    return [_person(tuple(sightings), face, body, handler_id, params, meta)]


def persons_of_descriptors(
    file: DescriptorFile, *, handler_id: UUID | None, params: EventParams, meta: Mapping[str, Any] | None
) -> list[Person]:
    """Those who are known by their descriptors alone, one each."""
    persons = []
    for version, vector in file.descriptors:
        found = Descriptor(version.version, vector)
        draft = _draft({}, {}, handler_id, params, _joined(meta, file.details.meta))
        of_face = version.kind == "face"
        persons.append(
            Person(descriptor=found if of_face else None, body_descriptor=None if of_face else found, draft=draft)
        )
    return persons


def _person(
    sightings: tuple[Sighting, ...],
    estimations: Mapping[str, object],
    body_estimations: Mapping[str, object],
    handler_id: UUID | None,
    params: EventParams,
    meta: Mapping[str, Any] | None,
) -> Person:
    return Person(
        sightings=sightings,
        estimations=estimations,
        body_estimations=body_estimations,
        descriptor=descriptor_of(estimations),
        body_descriptor=descriptor_of(body_estimations, "body_descriptor"),
        draft=_draft(estimations, body_estimations, handler_id, params, meta),
        aggregated=params.aggregate,
    )


def _draft(
    estimations: Mapping[str, object],
    body_estimations: Mapping[str, object],
    handler_id: UUID | None,
    params: EventParams,
    meta: Mapping[str, Any] | None,
) -> EventDraft:
    known = basic_of(estimations) or BasicData()
    create_time = params.create_time or utc_now()
    said = {each.name: getattr(params, each.name) for each in fields(EventOrigin)}
    return EventDraft(
        **said,
        handler_id=handler_id,
        create_time=create_time,
        end_time=params.end_time or create_time,
        meta=meta,
        age=known.age,
        gender=known.gender,
        emotion=predominant(estimations.get("emotions"), Emotion),
        ethnic_group=known.ethnicity,
        mask=predominant(estimations.get("mask"), Mask),
        liveness=predominant(estimations.get("liveness"), Liveness),
        deepfake=predominant(estimations.get("deepfake"), Deepfake),
        **body_columns(body_estimations),
    )


def _joined(common: Mapping[str, Any] | None, own: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Meta of all images with that of one laid over it."""
    return {**common, **own} if common and own else own or common
