"""Erasure of a person from events.

The events of the person keep time, place and handler only; all other columns are reset. Events of other people lose
their matches with the person.
"""

import time
from collections.abc import Iterator
from typing import Any

from django.db.models import Field, Q

from apps.accounts.audit import audit_owned
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.holdings import Reference, Report, Trace
from apps.events.models import Event, EventDescriptor
from apps.events.spool import spool_is_empty
from apps.imagestore.choices import Bucket
from apps.imagestore.erasure import object_reference, reference_of_address

# Columns that remain after an erasure: time, place, handler.
KEPT = frozenset(
    {
        "id", "account", "event_id", "handler_id", "create_time", "end_time", "insert_time", "source", "stream_id",
        "city", "area", "district", "street", "house_number", "longitude", "latitude",
    }
)  # fmt: skip
BATCH_ROWS = 500
QUEUED_S = 10


class PersonEvents:
    """Events of a person, and events of other people that mention the person."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.mentions: list[Event] = []
        self.face_ids: set[str] = set()

    def find(self, trace: Trace) -> None:
        """Find the events of the external id, of the faces, and those that created the faces; then the mentions."""
        if not self.events:
            _wait_for_queued()
        faces = trace.of("face")
        self.face_ids = {face_id for ids in faces.values() for face_id in ids}
        wanted = Q(face_id__in=self.face_ids)
        if trace.external_id is not None:
            wanted |= Q(external_id=trace.external_id)
        for account_id, event_ids in trace.of("event").items():
            wanted |= Q(account_id=account_id, event_id__in=event_ids)
        own = Event.objects.unscoped()
        if trace.account_id is not None:
            own = Event.objects.for_account(trace.account_id)
        rows = own.filter(wanted).order_by("pk")
        self.events = list(rows.select_for_update())  # the lock excludes additional extraction until the erasure
        mentioned = Q(top_similar_object_id__in=self.face_ids)
        for face_id in self.face_ids:
            mentioned |= Q(match_result__contains=[{"candidates": [{"face": {"face_id": face_id}}]}])
        others = own.exclude(pk__in=[event.pk for event in self.events])
        self.mentions = list(others.filter(mentioned))
        trace.held |= {Reference("event", event.account_id, str(event.event_id)) for event in self.events}
        trace.held |= {Reference("mention", event.account_id, str(event.event_id)) for event in self.mentions}
        trace.named |= {reference for event in self.events for reference in _named(event)}

    def erase(self, trace: Trace) -> None:
        EventDescriptor.objects.filter(event__in=self.events).delete()
        columns: list[Field[Any, Any]] = [column for column in Event._meta.fields if column.name not in KEPT]
        for event in self.events:
            for column in columns:
                setattr(event, column.attname, None if column.null else column.get_default())
        rows = Event.objects.unscoped()
        rows.bulk_update(self.events, [column.name for column in columns], batch_size=BATCH_ROWS)
        for event in self.mentions:
            _forget_mentions(event, self.face_ids)
        names = [column.name for column in Event._meta.fields if column.name.startswith("top_similar_")]
        rows.bulk_update(self.mentions, ["match_result", *names], batch_size=BATCH_ROWS)
        owners = {event.event_id: event.account_id for event in self.events}
        audit_owned(action="erase", object_type="event", owners=owners, actor=trace.actor)

    def clean(self, trace: Trace) -> None:
        """Do nothing: events have no files."""

    def report(self) -> Report:
        return {"events": [str(event.event_id) for event in self.events], "mentions": len(self.mentions)}


def _wait_for_queued() -> None:
    """Wait until the queued events of this machine are stored, so that the erasure finds them."""
    deadline = time.monotonic() + QUEUED_S
    while not spool_is_empty():
        if time.monotonic() > deadline:
            raise LunaError(errors.EVENTS_SAVE_TIMEOUT, QUEUED_S)
        time.sleep(0.05)


def _named(event: Event) -> Iterator[Reference]:
    """Yield the samples and images of an event."""
    for detections, bucket in (
        (event.face_detections, Bucket.FACE_SAMPLES),
        (event.body_detections, Bucket.BODY_SAMPLES),
    ):
        for detection in detections:
            sample = parse_uuid(detection.get("sample_id"))
            if sample is not None:
                yield object_reference(event.account_id, bucket, sample)
            yield from reference_of_address(event.account_id, detection.get("image_origin"))


def _forget_mentions(event: Event, face_ids: set[str]) -> None:
    if str(event.top_similar_object_id) in face_ids:
        event.top_similar_object_id = event.top_similar_object_type = None
        event.top_similar_object_similarity = event.top_similar_external_id = None
    for match in event.match_result:
        match["candidates"] = [
            candidate
            for candidate in match.get("candidates", ())
            if (candidate.get("face") or {}).get("face_id") not in face_ids
        ]
