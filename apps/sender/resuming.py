"""Events that a websocket has missed: which ones, in which order, and their notifications, made of stored events.

The client names the last event that it received. Redis knows which events were sent before it. All other events that
were stored since are missed, so an event is neither lost nor repeated if several processes store at the same time, or
if a process ends between the commit and the notification. Without Redis's order, after its restart for example, events
count as missed from shortly before the last event, and those may be repeated.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db.models import QuerySet

from apps.common import errors
from apps.common.addresses import address
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.filters.enums import EthnicGroup
from apps.common.links import NO_LINKS, links
from apps.common.paging import Page
from apps.common.request_id import HEADER
from apps.common.scope import Scope
from apps.common.times import format_time, utc_now
from apps.events.models import Event
from apps.events.partitions import key_at, time_of
from apps.events.shapes import BODY_ATTRIBUTES, StoredDetectionJson, location_shape, top_match_shape
from apps.events.spool import Saving
from apps.events.types import EventDraft
from apps.faces.selectors import faces_page
from apps.faces.shapes import face_shape
from apps.faces.types import FaceRow
from apps.imagestore.addresses import object_address
from apps.imagestore.choices import Bucket
from apps.sender.config import Sender
from apps.sender.publisher import publisher
from apps.sender.sent import Notification, known_since_us, sent_time_us, sent_times_us
from apps.sender.services import REQUEST_ID_KEY

COLUMNS = tuple(field.name for field in fields(EventDraft))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# Between the key of an event, which it receives before its transaction ends, and its notification.
LATE = timedelta(seconds=30)
QUEUED_US, QUEUED_CHECK_S, QUEUED_CHECKS = 5_000_000, 0.1, 10
LATE_WITHOUT_ORDER = timedelta(seconds=2)
FACE_MEMBERS = ("face_id", "external_id", "user_data", "avatar", "event_id", "lists")


@dataclass(frozen=True, slots=True)
class Missed:
    """A missed event: its key and its id."""

    key: int
    event_id: UUID


def missed_events(*, account_id: UUID, last_event_id: UUID) -> Sequence[Missed]:
    """Return the events that followed an event, in the order in which they were sent.

    Raises LunaError EVENT_NOT_FOUND if the account has no such event, BAD_QUERY_PARAMETERS if it is older than
    `resume_s` or if more than `resume_events` followed, REDIS_DISCONNECTED.
    """
    limits = config(Sender)
    own = Event.objects.for_account(account_id)
    key = own.filter(event_id=last_event_id).values_list("pk", flat=True).first()
    sent_us = sent_time_us(account_id=account_id, event_id=last_event_id)
    # Without `wait_saving` an event is stored after its notification, after an outage of the database much later.
    known = [] if sent_us is None else [EPOCH + sent_us * MICROSECOND]
    moments = known if key is None else [*known, time_of(key)]
    if not moments:
        raise LunaError(errors.EVENT_NOT_FOUND, last_event_id)
    moment = min(moments)
    if utc_now() - moment > timedelta(seconds=limits.resume_s):
        raise _too_late(f"the event is older than {limits.resume_s:g} s")
    if sent_us is None:
        start = moment - LATE_WITHOUT_ORDER
    else:
        start = max(moment - LATE, EPOCH + known_since_us(account_id=account_id) * MICROSECOND)
    order = sent_times_us(account_id=account_id, since_us=(start - LATE - EPOCH) // MICROSECOND)
    rows = own.filter(notified=True, pk__gte=key_at(start)).order_by("pk").values_list("pk", "event_id")
    after = [] if sent_us is None else [each for each, time_us in order.items() if time_us > sent_us]
    _wait_for_queued(own, [each for each in after if order[each] > _recent_us()])
    before = {each for each, time_us in order.items() if sent_us is not None and time_us <= sent_us} | {last_event_id}
    found = [Missed(*row) for row in rows[: limits.resume_events + len(before) + 1] if row[1] not in before]
    # Events of a crashed process are sent when they are recovered, so their keys may be older.
    if early := set(after) - {each.event_id for each in found}:
        earlier = own.filter(notified=True, pk__lt=key_at(start), event_id__in=early)
        found += [Missed(*row) for row in earlier.values_list("pk", "event_id")]
    if len(found) > limits.resume_events:
        raise _too_late(f"more than {limits.resume_events} events followed")
    return sorted(found, key=lambda each: order.get(each.event_id, (time_of(each.key) - EPOCH) // MICROSECOND))


def _recent_us() -> int:
    return (utc_now() - EPOCH) // MICROSECOND - QUEUED_US


def _wait_for_queued(own: QuerySet[Event], sent: Sequence[UUID]) -> None:
    """Wait until events that were sent without `wait_saving` are stored. Some of them may never be stored."""
    for _ in range(QUEUED_CHECKS):
        if not sent or own.filter(event_id__in=sent).count() == len(sent):
            return
        time.sleep(QUEUED_CHECK_S)


def recovered_publish(savings: Sequence[Saving]) -> None:
    """Notify websockets of events that were stored after the end of their process, perhaps for the second time."""
    by_account: dict[UUID, list[UUID]] = {}
    for account_id, record in savings:
        by_account.setdefault(account_id, []).append(record.draft.event_id)
    for account_id, event_ids in by_account.items():
        events = Event.objects.for_account(account_id).filter(event_id__in=event_ids, notified=True).order_by("pk")
        faces = _faces(account_id, {event.face_id for event in events if event.face_id is not None})
        for event in events:
            facts, text = orjson.dumps(_facts(event)), orjson.dumps(_message(event, faces)).decode()
            publisher().submit(Notification(account_id, event.event_id, facts, text))


def _too_late(reason: str) -> LunaError:
    return LunaError(errors.BAD_QUERY_PARAMETERS, f"'last_event_id': {reason}; connect without it")


def notifications(
    *, account_id: UUID, missed: Sequence[Missed], accepts: Callable[[Mapping[str, object]], bool]
) -> list[str]:
    """Return the notifications of missed events that the filters accept. Deleted events are omitted."""
    stored = Event.objects.for_account(account_id).in_bulk([each.key for each in missed])
    events = [stored[each.key] for each in missed if each.key in stored and stored[each.key].notified]
    events = [event for event in events if accepts(_facts(event))]
    faces = _faces(account_id, {event.face_id for event in events if event.face_id is not None})
    return [orjson.dumps(_message(event, faces)).decode() for event in events]


def _facts(event: Event) -> Mapping[str, object]:
    """Return the columns as live notifications have them."""
    facts: Mapping[str, object] = orjson.loads(orjson.dumps({name: getattr(event, name) for name in COLUMNS}))
    return facts


def _faces(account_id: UUID, face_ids: Collection[UUID]) -> Mapping[UUID, FaceRow]:
    if not face_ids:
        return {}
    filters = {"face_ids": list(face_ids)}
    rows = faces_page(scope=Scope(account_id), filters=filters, page=Page(1, len(face_ids)))
    return {row.face_id: row for row in rows}


def _message(event: Event, faces: Mapping[UUID, FaceRow]) -> dict[str, Any]:
    """Return the notification of a stored event. What is not stored is null, or empty in objects and arrays."""
    create_time, end_time = format_time(event.create_time), format_time(event.end_time)
    return {
        "event": _event(event, None if event.face_id is None else faces.get(event.face_id)),
        "handler_id": event.handler_id,
        "event-create-time": create_time,
        "event-end-time": end_time,
        "event_create_time": create_time,
        "event_end_time": end_time,
        HEADER: None,
        REQUEST_ID_KEY: None,
    }


def _event(event: Event, face: FaceRow | None) -> dict[str, Any]:
    samples = [each["sample_id"] for each in event.face_detections if each["sample_id"]]
    body_samples = [each["sample_id"] for each in event.body_detections if each["sample_id"]]
    return {
        "event_id": event.event_id,
        **links(address("event", event.event_id)),
        "source": event.source,
        "stream_id": event.stream_id,
        "track_id": event.track_id,
        "external_id": event.external_id,
        "user_data": event.user_data,
        "tags": event.tags,
        "location": location_shape(event),
        "meta": event.meta,
        "face": None if face is None else _face(face),
        "face_attributes": (
            {"attribute_id": None, **NO_LINKS, "score": None, "samples": samples, "basic_attributes": _basic(event)}
            if event.face_detections
            else None
        ),
        "body_attributes": {"score": None, "samples": body_samples} if event.body_detections else None,
        "matches": event.match_result,
        "top_match": top_match_shape(event),
        "aggregate_estimations": {"face": {"attributes": {}}, "body": {"attributes": {}}},
        "detections": [*_detections(event)],
    }


def _face(face: FaceRow) -> dict[str, Any]:
    return {**face_shape(face, FACE_MEMBERS), **links(address("face", face.face_id))}


def _basic(event: Event) -> dict[str, Any] | None:
    if event.age is None and event.gender is None and event.ethnic_group is None:
        return None
    group = None if event.ethnic_group is None else EthnicGroup(event.ethnic_group).word
    ethnicities = None if group is None else {"predominant_ethnicity": group, "estimations": {}}
    return {"age": event.age, "gender": event.gender, "ethnicities": ethnicities}


def _detections(event: Event) -> Iterator[dict[str, Any]]:
    """Yield the detections. A face and a body are one detection if all images show both."""
    faces, bodies = event.face_detections, event.body_detections
    if [*map(_picture, faces)] == [*map(_picture, bodies)]:
        pairs: list[Any] = [*zip(faces, bodies, strict=True)]
    else:
        pairs = [*((face, None) for face in faces), *((None, body) for body in bodies)]
    attributes = {name: target.shape(event) for name, target in BODY_ATTRIBUTES.items()}
    for face, body in pairs:
        yield {
            "filename": "",
            **{name: (face or body)[name] for name in ("detect_time", "detect_ts", "image_origin")},
            "samples": {
                "face": _sample(Bucket.FACE_SAMPLES, face, {"landmarks5": None, "attributes": {}}),
                "body": _sample(Bucket.BODY_SAMPLES, body, {"attributes": attributes}),
            },
        }


def _picture(detection: StoredDetectionJson) -> tuple[Any, ...]:
    return detection["detect_time"], detection["detect_ts"], detection["image_origin"]


def _sample(bucket: str, stored: StoredDetectionJson | None, beside: Mapping[str, Any]) -> dict[str, Any] | None:
    if stored is None:
        return None
    sample_id = stored["sample_id"]
    place = NO_LINKS if sample_id is None else links(object_address(bucket, sample_id))
    detection = {"rect": stored["detection"]["rect"], "score": None, **beside}
    return {"sample_id": sample_id, **place, "detection": detection}
