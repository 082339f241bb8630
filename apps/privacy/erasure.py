"""Erasing a person from all rooms: faces, descriptors, attributes, samples, images and what events know of them.

Events stay as a line that something was seen then and there; what says who it was goes. Other people's events lose
their mention of the person.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Field, Q, QuerySet
from redis.exceptions import ResponseError

from apps.accounts.audit import audit_write
from apps.accounts.erasure import Progress, rows_count
from apps.accounts.erasure import account_erase as erasure_run
from apps.accounts.idempotency import answers_forget
from apps.accounts.models import Account
from apps.accounts.services import account_close
from apps.common.fields import parse_uuid
from apps.common.redis_client import client
from apps.common.times import format_time, utc_now
from apps.events.models import Event, EventDescriptor
from apps.faces.attributes import KEY, unpack
from apps.faces.models import Face, FaceAttribute
from apps.faces.services import faces_delete
from apps.imagestore import files
from apps.imagestore.addresses import object_of_address
from apps.imagestore.choices import Bucket
from apps.imagestore.failures import FAILURES
from apps.imagestore.id_locks import remove_gone
from apps.imagestore.models import StoredObject
from apps.imagestore.services import objects_audit

# What remains of an event: when, where, through which handler.
KEPT = frozenset(
    {
        "id", "account", "event_id", "handler_id", "create_time", "end_time", "insert_time", "source", "stream_id",
        "city", "area", "district", "street", "house_number", "longitude", "latitude",
    }
)  # fmt: skip
SCAN_KEYS = 500

Key = tuple[str, UUID]  # bucket and object id


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was erased: ids and numbers, nothing of a person's face. Of an account only how many rows of each table."""

    receipt_id: str
    time: str | None
    subject: str
    dry_run: bool
    faces: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    mentions: int = 0
    objects: list[str] = field(default_factory=list)
    temporary_attributes: int = 0
    files_left: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


def account_erase(*, account: Account, dry_run: bool, progress: Progress | None = None) -> Receipt | None:
    """Erases an account with all that it owns, in steps: after a crash, or an error of the storage, it goes on with
    the next call. None while another process is at it. Raises LunaError ACCESS_DENIED for the last administrator.
    """
    account_id = account.account_id
    if dry_run:
        rows = rows_count(account_id)
    else:
        account_close(account=account)
        erasure = erasure_run(account_id=account_id, progress=progress)
        if erasure is None:
            return None
        rows = dict(erasure.removed)
        _compact_redis()
    return Receipt(
        receipt_id=str(uuid4()),
        time=format_time(utc_now()),
        subject=f"account {account_id}",
        dry_run=dry_run,
        rows={table: count for table, count in rows.items() if count},
    )


def person_erase(*, subject: str, faces: Q, events: Q, dry_run: bool) -> Receipt:
    """Erases the faces and events that `faces` and `events` name, and all that belongs to them, in one transaction."""
    with transaction.atomic():
        found = list(Face.objects.unscoped().filter(faces).order_by("pk"))
        seen = _events(events, found)
        attributes = list(FaceAttribute.objects.filter(face__in=found))
        stored = list(_stored(found, attributes, seen))
        mentions = list(_mentions(found, seen))
        receipt = Receipt(
            receipt_id=str(uuid4()),
            time=format_time(utc_now()),
            subject=subject,
            dry_run=dry_run,
            faces=[str(face.face_id) for face in found],
            events=[str(event.event_id) for event in seen],
            mentions=len(mentions),
            objects=_names(stored),
        )
        if dry_run:
            return receipt
        _forget_events(seen, mentions, {str(face.face_id) for face in found})
        for account_id in sorted({event.account_id for event in seen}):
            theirs = [event.event_id for event in seen if event.account_id == account_id]
            audit_write(action="erase", object_type="event", object_ids=theirs, account_id=account_id)
        for account_id in sorted({face.account_id for face in found}):
            mine = [face.face_id for face in found if face.account_id == account_id]
            faces_delete(account_id=account_id, face_ids=mine, action="erase")
        objects_audit(action="erase", rows=stored)
        StoredObject.objects.unscoped().filter(pk__in=[row.pk for row in stored]).delete()
    for row in stored:
        with suppress(*FAILURES):  # the receipt names what is left
            remove_gone([(row.bucket, row.object_id, row.content_type)])
    for account_id in {row.account_id for row in (*found, *seen, *mentions)}:
        answers_forget(account_id)
    erased = _temporary_erase({row.attribute_id for row in attributes}, {row.object_id for row in stored})
    receipt = Receipt(**asdict(receipt) | {"temporary_attributes": erased, "files_left": _files_left(stored)})
    _compact_redis()
    return receipt


def _events(events: Q, faces: Sequence[Face]) -> list[Event]:
    """Events of the subject: named by it, of one of its faces, or the one that a face was made by.

    A client may write any event's id into a face; another account's event is not touched by it.
    """
    wanted = events | Q(face_id__in=[face.face_id for face in faces])
    for account_id in {face.account_id for face in faces}:
        made_by = [face.event_id for face in faces if face.account_id == account_id and face.event_id]
        wanted |= Q(account_id=account_id, event_id__in=made_by)
    rows = Event.objects.unscoped().filter(wanted)
    return list(rows.order_by("pk").select_for_update())  # nobody describes them anew meanwhile


def _stored(faces: Iterable[Face], attributes: Iterable[FaceAttribute], events: Iterable[Event]) -> QuerySet[Any]:
    """Rows of the samples and images that faces and events name, each of the account that names it."""
    keys: set[tuple[UUID, Key]] = set()
    owners = {face.pk: face.account_id for face in faces}
    for face in faces:
        if avatar := object_of_address(face.avatar, behind_host=True):
            keys.add((face.account_id, avatar))
    for row in attributes:
        for sample in (*row.descriptor_samples, *row.basic_attributes_samples):
            keys.add((owners[row.face_id], (Bucket.FACE_SAMPLES, sample)))
    for event in events:
        keys |= {(event.account_id, key) for key in _event_keys(event)}
    wanted = Q(pk__in=())
    for account_id, (bucket, object_id) in keys:
        wanted |= Q(account_id=account_id, bucket=bucket, object_id=object_id)
    return StoredObject.objects.unscoped().filter(wanted)


def _event_keys(event: Event) -> Iterator[Key]:
    for detections, bucket in (
        (event.face_detections, Bucket.FACE_SAMPLES),
        (event.body_detections, Bucket.BODY_SAMPLES),
    ):
        for detection in detections:
            sample = parse_uuid(detection.get("sample_id"))
            if sample is not None:
                yield bucket, sample
            if origin := object_of_address(detection.get("image_origin") or "", behind_host=True):
                yield origin


def _mentions(faces: Iterable[Face], events: Iterable[Event]) -> QuerySet[Event]:
    """Other people's events in whose matches the person stands."""
    ids = [face.face_id for face in faces]
    mentioned = Q(top_similar_object_id__in=ids)
    for face_id in ids:
        mentioned |= Q(match_result__contains=[{"candidates": [{"face": {"face_id": str(face_id)}}]}])
    rows: QuerySet[Event] = Event.objects.unscoped().exclude(pk__in=[event.pk for event in events]).filter(mentioned)
    return rows


def _forget_events(events: list[Event], mentions: list[Event], face_ids: set[str]) -> None:
    EventDescriptor.objects.filter(event__in=events).delete()
    columns: list[Field[Any, Any]] = [column for column in Event._meta.fields if column.name not in KEPT]
    for event in events:
        for column in columns:
            setattr(event, column.attname, None if column.null else column.get_default())
    Event.objects.unscoped().bulk_update(events, [column.name for column in columns], batch_size=500)
    for event in mentions:
        if str(event.top_similar_object_id) in face_ids:
            event.top_similar_object_id = event.top_similar_object_type = None
            event.top_similar_object_similarity = event.top_similar_external_id = None
        for match in event.match_result:
            match["candidates"] = [
                candidate
                for candidate in match.get("candidates", ())
                if (candidate.get("face") or {}).get("face_id") not in face_ids
            ]
    names = [name.name for name in Event._meta.fields if name.name.startswith("top_similar_")]
    Event.objects.unscoped().bulk_update(mentions, ["match_result", *names], batch_size=500)


def _temporary_erase(attribute_ids: set[UUID | None], samples: set[UUID]) -> int:
    """Removes temporary attributes that the faces were made of, or that come from an erased sample."""
    erased = 0
    for key in client().scan_iter(KEY.format("*"), count=SCAN_KEYS):
        value: Any = client().get(key)
        attribute_id = parse_uuid(key.decode().rpartition(":")[2])
        if value is None or attribute_id is None:
            continue
        data = unpack(attribute_id, value).data
        if attribute_id in attribute_ids or samples & {*data.descriptor_samples, *data.basic_samples}:
            erased += int(client().delete(key))
    return erased


def _compact_redis() -> None:
    """Writes Redis' log of changes anew, without what was erased. A managed Redis may refuse: it does so by itself."""
    try:
        client().bgrewriteaof()
    except ResponseError:
        return


def _names(rows: Iterable[StoredObject]) -> list[str]:
    return sorted(files.data_name(row.bucket, row.object_id, row.content_type) for row in rows)


def _files_left(rows: Iterable[StoredObject]) -> list[str]:
    return sorted(
        name
        for row in rows
        for name in (
            files.data_name(row.bucket, row.object_id, row.content_type),
            files.meta_name(row.bucket, row.object_id),
        )
        if _may_be_left(name)
    )


def _may_be_left(name: str) -> bool:
    try:
        return files.exists(name)
    except FAILURES:  # a storage that cannot tell
        return True
