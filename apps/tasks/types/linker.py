"""Linker: attach faces to a list, or faces that are made from events."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple
from uuid import UUID, uuid5

import orjson
from django.db.models import QuerySet
from rest_framework import serializers

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import FlagField, TextField, UUIDField
from apps.common.filters import Filters
from apps.common.locks import advisory_lock
from apps.common.scope import Scope
from apps.events.selectors import events_by_key, events_filter
from apps.faces.selectors import faces_filter, list_owner
from apps.faces.services import faces_create, list_attach_keys, list_create
from apps.tasks.choices import TaskKind
from apps.tasks.event_faces import EVENT_COLUMNS, EventFaces, event_faces
from apps.tasks.filters import ObjectsContent, content_scope, source_check
from apps.tasks.ranges import key_ranges, rows_after
from apps.tasks.types.base import Needs, Part, Result, SubtaskRun, TaskRun, TaskType

SUBTASK_OBJECTS = 1000
BATCH_FACES = 1000
BATCH_EVENTS = 200  # their descriptors are copied
LOCK_POLL_S = 0.05
LISTS = UUID("6f9c7a52-27a0-4e0b-9d41-6a7a7d0f5b13")  # namespace of the ids of new lists


class LinkerContent(ObjectsContent):
    """Faces, or events of which faces are made, and the list that they enter.

    A list that does not exist is created with `user_data`; without `list_id` it gets a new id.
    """

    example: ClassVar[dict[str, Any]] = {
        "objects_type": "events",
        "filters": {"sources": ["entrance camera"], "create_time__gte": "now-1d"},
        "create_list": 1,
        "user_data": "visitors",
    }
    list_id = UUIDField(required=False)
    create_list = FlagField(default=False)
    user_data = TextField(max_length=128, help_text="User data of a list that the task creates.")

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        if "list_id" not in values and not values["create_list"]:
            raise serializers.ValidationError({"list_id": "`list_id`, or `create_list` with 1, is required."})
        return values


class Target(NamedTuple):
    """The list that faces enter, and its account."""

    list_id: UUID
    account_id: UUID


class Linker(TaskType):
    """Attaches each object once: a checkpoint stores its face's link together with the position after it."""

    name, number = "linker", TaskKind.LINKER
    Content = LinkerContent
    needs = Needs(image_store=False)

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        """Raises LunaError EVENTS_SOURCE_DISABLED, FOREIGN_ACCOUNT_ID, LIST_NOT_FOUND for a list of another account.

        INVALID_JSON if neither content nor list determine the account.
        """
        source_check(content["objects_type"])
        if "list_id" in content:
            _account(content, scope, content["list_id"])
        elif content_scope(content, scope).account_id is None:
            raise _account_required()

    def split(self, run: TaskRun) -> Iterable[Part]:
        """Create the list if it does not exist, and divide the objects by ranges of keys.

        Raises the errors of `check`.
        """
        source_check(run.content["objects_type"])
        target = _target(run)
        names = {"list_id": str(target.list_id), "account_id": str(target.account_id)}
        rows = _rows(run, target.account_id)
        for after, until, count in key_ranges(rows, size=SUBTASK_OBJECTS, check=run.check):
            yield Part(content={**names, "after": after, "until": until}, parts=count)

    def process(self, run: SubtaskRun) -> Result:
        """Attach the objects of a range. Raises LunaError LIST_NOT_FOUND if the list was deleted."""
        target = Target(UUID(run.part["list_id"]), UUID(run.part["account_id"]))
        rows = _rows(run, target.account_id)
        link = _link_faces if run.content["objects_type"] == "faces" else _link_events
        while link(run, rows, target):
            run.check()
        return {"list_id": str(target.list_id), "face_ids": [str(each) for each in _unpacked(run.blob)]}

    def merge(self, run: TaskRun, results: Iterator[Any]) -> Result:
        first = next(results)
        return None if first is None else _merged(first, results)


def _merged(first: Mapping[str, Any], others: Iterator[Any]) -> Iterator[bytes]:
    yield b'{"list_id":%b,"face_ids":[' % orjson.dumps(first["list_id"])
    comma = b""
    for each in (first, *others):
        if ids := orjson.dumps(each["face_ids"])[1:-1]:
            yield comma + ids
            comma = b","
    yield b"]}"


def _target(run: TaskRun) -> Target:
    """Return the list, which is created if it does not exist. A repeated call returns the same list."""
    content = run.content
    list_id = content.get("list_id") or uuid5(LISTS, f"{run.task_id} {run.create_time.isoformat()}")
    account_id = _account(content, run.scope, list_id)
    if list_owner(list_id=list_id) is None:
        list_create(account_id=account_id, list_id=list_id, user_data=content.get("user_data", ""), actor=run.actor)
    return Target(list_id, account_id)


def _account(content: Mapping[str, Any], scope: Scope, list_id: UUID) -> UUID:
    scope = content_scope(content, scope)
    owner = list_owner(list_id=list_id)
    if owner is not None and not scope.allows(owner):
        raise LunaError(errors.LIST_NOT_FOUND, list_id)
    account_id = owner or scope.account_id
    if account_id is None:
        raise _account_required()
    return account_id


def _account_required() -> LunaError:
    return LunaError(errors.INVALID_JSON, "A new list needs the account that it belongs to. Path: 'content.account_id'")


def _rows(run: TaskRun, account_id: UUID) -> "QuerySet[Any]":
    filters: Filters = {"create_time__lt": run.create_time, **run.content["filters"].filters}
    select = faces_filter if run.content["objects_type"] == "faces" else events_filter
    return select(scope=Scope(account_id), filters=filters)


def _next(run: SubtaskRun, rows: "QuerySet[Any]", limit: int) -> "QuerySet[Any]":
    return rows_after(rows, run.state.get("after", run.part["after"]), run.part["until"], limit)


def _link_faces(run: SubtaskRun, rows: "QuerySet[Any]", target: Target) -> int:
    """Attach the next faces; return their number."""
    found = list(_next(run, rows, BATCH_FACES).values_list("pk", "face_id"))
    if found:
        with _linked(run, found[-1][0], [face_id for _, face_id in found], len(found)):
            keys = [key for key, _ in found]
            list_attach_keys(account_id=target.account_id, list_id=target.list_id, keys=keys)
    return len(found)


def _link_events(run: SubtaskRun, rows: "QuerySet[Any]", target: Target) -> int:
    """Attach the faces of the next events; return the number of events.

    A lock of the account keeps other tasks from making a second face of an event.
    """
    keys = list(_next(run, rows, BATCH_EVENTS).values_list("pk", flat=True))
    if not keys:
        return 0
    scope = Scope(target.account_id)
    with _alone(run, target.account_id):
        by_key = events_by_key(scope=scope, keys=keys, columns=EVENT_COLUMNS)
        faces = event_faces(scope=scope, events=[by_key[key] for key in keys if key in by_key])
        for event_id, error in faces.errors:
            run.error(error, info=str(event_id))
        with _linked(run, keys[-1], faces.ids, len(keys)):
            _attach(faces, target)
    return len(keys)


def _attach(faces: EventFaces, target: Target) -> None:
    made = faces_create(account_id=target.account_id, drafts=faces.drafts)
    keys = [*faces.keys, *(face.pk for face in made)]
    list_attach_keys(account_id=target.account_id, list_id=target.list_id, keys=keys)


@contextmanager
def _linked(run: SubtaskRun, key: int, face_ids: Sequence[UUID], count: int) -> Iterator[None]:
    """Open a checkpoint after the object with `key`, which counts `count` objects and stores the ids of their faces."""
    done = run.state.get("done", 0) + count
    blob = (run.blob or b"") + b"".join(each.bytes for each in face_ids)
    with run.checkpoint({"after": key, "done": done}, blob=blob, parts_done=done):
        yield


def _unpacked(blob: bytes | None) -> Iterator[UUID]:
    found = bytes(blob or b"")
    return (UUID(bytes=each) for each in dict.fromkeys(found[at : at + 16] for at in range(0, len(found), 16)))


@contextmanager
def _alone(run: SubtaskRun, account_id: UUID) -> Iterator[None]:
    """Hold the lock of those who make faces of an account's events; a cancelled task stops waiting."""
    while True:
        with advisory_lock(f"link events of {account_id}") as ours:
            if ours:
                yield
                return
        run.check()
        time.sleep(LOCK_POLL_S)


TYPE = Linker()
