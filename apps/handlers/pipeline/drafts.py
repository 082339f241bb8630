"""Drafts of events, with the columns that the request and the estimations determine."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from apps.common.descriptors import Descriptor
from apps.common.times import utc_now
from apps.events.types import EventDraft, EventOrigin
from apps.handlers.pipeline.attributes import descriptor_of
from apps.handlers.pipeline.run import Run
from apps.handlers.types import EventPerson, GeneratedEvent
from apps.recognition.request.aggregation import aggregate, event_columns
from apps.recognition.run.pictures import Person

Estimations = Mapping[str, object]
Meta = Mapping[str, Any]


def events_of_persons(run: Run, persons: Sequence[Person]) -> list[GeneratedEvent]:
    """Draft an event of each person, or one event of all persons if the request aggregates."""
    found = [EventPerson(picture=each.picture, face=each.face, body=each.body) for each in persons]
    if not run.params.aggregate:
        return [
            _event(
                run,
                (each,),
                {} if each.face is None else each.face.estimations,
                {} if each.body is None else each.body.estimations,
                _joined(run.inputs.meta, each.picture.details.meta),
            )
            for each in found
        ]
    if not found:
        return []
    face = aggregate([each.face.estimations for each in found if each.face is not None])
    body = aggregate([each.body.estimations for each in found if each.body is not None])
    return [_event(run, tuple(found), face, body, run.inputs.meta)]


def events_of_descriptors(run: Run) -> list[GeneratedEvent]:
    """Draft an event of each descriptor that replaces a picture."""
    events = []
    for file in run.inputs.descriptors:
        for version, vector in file.descriptors:
            found = Descriptor(version.version, vector)
            draft = _draft(run, {}, {}, _joined(run.inputs.meta, file.details.meta))
            of_face = version.kind == "face"
            events.append(
                GeneratedEvent(
                    draft=draft, descriptor=found if of_face else None, body_descriptor=None if of_face else found
                )
            )
    return events


def _event(
    run: Run,
    persons: tuple[EventPerson, ...],
    estimations: Estimations,
    body_estimations: Estimations,
    meta: Meta | None,
) -> GeneratedEvent:
    return GeneratedEvent(
        draft=_draft(run, estimations, body_estimations, meta),
        persons=persons,
        estimations=estimations,
        body_estimations=body_estimations,
        descriptor=descriptor_of(estimations),
        body_descriptor=descriptor_of(body_estimations, "body_descriptor"),
        aggregated=run.params.aggregate,
    )


def _draft(run: Run, estimations: Estimations, body_estimations: Estimations, meta: Meta | None) -> EventDraft:
    create_time = run.params.create_time or utc_now()
    given = {each.name: getattr(run.params, each.name) for each in fields(EventOrigin)}
    return EventDraft(
        **given,
        handler_id=run.handler_id,
        create_time=create_time,
        end_time=run.params.end_time or create_time,
        meta=meta,
        **event_columns(estimations),
        **event_columns(body_estimations),
    )


def _joined(common: Meta | None, own: Meta | None) -> Meta | None:
    """Return the meta of all images updated with the meta of one image."""
    return {**common, **own} if common and own else own or common
