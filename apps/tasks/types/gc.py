"""Garbage collection: deletes faces, events or descriptors, with their samples and source images."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db.models import QuerySet
from rest_framework import serializers

from apps.common import errors
from apps.common.descriptors import versions
from apps.common.errors import LunaError
from apps.common.fields import FlagField, WholeNumberField, account_field
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.common.validation import StrictSerializer
from apps.descriptors.versions import default_check, descriptors_remove, drop_audit, owners_of
from apps.events.descriptors import DETECTIONS
from apps.events.models import Event
from apps.events.partitions import EVENTS, key_at, partition_drop, partitions_of
from apps.events.selectors import STORING
from apps.events.services import events_delete
from apps.faces.services import faces_delete_passing
from apps.sender.outbox import callbacks_forget
from apps.tasks.choices import TaskKind
from apps.tasks.filters import ObjectFiltersField, ObjectsType, content_scope, filters_checked, source_check
from apps.tasks.origins import foreign_remove, origins_of, samples_of_events, samples_of_faces, stored_remove
from apps.tasks.ranges import key_ranges, rows_after
from apps.tasks.results import results_are_stored
from apps.tasks.tables import objects_of, watched
from apps.tasks.types.base import Needs, Part, Result, SubtaskRun, TaskRun, TaskType

PAGE = 500  # objects of one transaction
SUBTASK_OBJECTS = 10_000
DESCRIPTORS: Mapping[str, Sequence[ObjectsType]] = {
    "face_descriptors": ("faces",),
    "event_descriptors": ("events",),
    "descriptors": ("faces", "events"),
}
OBJECTS = ("faces", "events")
COUNTS = ("removed", "samples", "image_origins")


class Bounded(NamedTuple):
    """The keys of a partition, `low` inclusive (None: no bound) and `high` exclusive."""

    low: int | None
    high: int


class GcOptions(StrictSerializer):
    descriptor_version = WholeNumberField(min_value=1, max_value=2**31 - 1)


class GcContent(StrictSerializer):
    """What to delete. Descriptors: tasks of all accounts only, with their version and no filters but the account."""

    example = {"target": "events", "filters": {"create_time__lt": "now-30d"}, "remove_samples": 1}
    target = serializers.ChoiceField(choices=(*OBJECTS, *DESCRIPTORS))
    filters = ObjectFiltersField()
    account_id = account_field()
    remove_samples = FlagField(default=False, help_text="Also delete the samples of the objects.")
    remove_image_origins = FlagField(default=False, help_text="Also delete the source images of events.")
    store_results = FlagField(default=True, help_text="Store the ids of deleted objects as the result.")
    descriptor_type = serializers.ChoiceField(choices=("face", "body"), required=False)
    options = GcOptions(required=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values: dict[str, Any] = super().to_internal_value(data)
        target, given = values["target"], values.pop("filters", {})
        if target in DESCRIPTORS:
            _descriptors_check(values, given)
        elif unfit := {"options", "descriptor_type"} & values.keys():
            raise serializers.ValidationError({min(unfit): "only descriptors have it."})
        if values["remove_image_origins"] and target != "events":
            raise serializers.ValidationError({"remove_image_origins": "only events have source images."})
        if target == "events" and "handler_id" in given and "handler_ids" not in given:  # the name of LUNA PLATFORM
            given = {name: value for name, value in given.items() if name != "handler_id"} | {
                "handler_ids": [given["handler_id"]]
            }
        kind: ObjectsType = "events" if target == "events" else "faces"
        return {**values, "filters": filters_checked(kind, given, context=self.context)}


def _descriptors_check(values: dict[str, Any], filters: dict[str, Any]) -> None:
    """Raise DRF's ValidationError for members that do not fit the deletion of descriptors."""
    if "options" not in values:
        raise serializers.ValidationError({"options": {"descriptor_version": "This field is required."}})
    if others := sorted(filters.keys() - {"account_id"}):
        raise serializers.ValidationError({"filters": {others[0]: "all descriptors of a version are deleted."}})
    if values["remove_samples"]:
        raise serializers.ValidationError({"remove_samples": "samples stay with faces and events."})
    kind = values.get("descriptor_type")
    if kind is None and values["target"] == "event_descriptors":
        raise serializers.ValidationError({"descriptor_type": "This field is required."})
    number = values["options"]["descriptor_version"]
    known = {each.version: each.kind for each in versions.all()}
    if kind is not None and known.get(number, kind) != kind:
        raise serializers.ValidationError({"descriptor_type": f"version {number} describes a {known[number]}."})


class Gc(TaskType):
    """Deletes in pages. A checkpoint stores each page together with its deletion, so that nothing is counted twice."""

    name = "gc"
    number = TaskKind.GC
    Content = GcContent
    needs = Needs(image_store=False)

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        """Raises LunaError FOREIGN_ACCOUNT_ID, EVENTS_SOURCE_DISABLED, IMAGE_STORE_DISABLED for samples.

        INVALID_JSON for descriptors if the scope is one account, for a default version, and without any filter.
        """
        narrowed = content_scope(content, scope)
        source_check("events" if content["target"] in ("events", "event_descriptors") else "faces")
        _samples_check(content)
        if content["target"] in DESCRIPTORS:
            if scope.account_id is not None:
                raise LunaError(errors.INVALID_JSON, "Only operators delete descriptors. Path: 'content.target'")
            _default_check(content)
        elif not content["filters"].filters and (content["target"] == "faces" or narrowed.account_id is None):
            raise LunaError(errors.INVALID_JSON, "At least one filter is required. Path: 'content.filters'")

    def split(self, run: TaskRun) -> Iterator[Part]:
        content, scope = run.content, content_scope(run.content, run.scope)
        if content["target"] in DESCRIPTORS:
            _default_check(content)
            for kind in DESCRIPTORS[content["target"]]:
                rows = owners_of(objects=kind, scope=scope, number=content["options"]["descriptor_version"])
                yield from _parts(run, rows, kind)
            return
        rows = objects_of(content["target"], scope=scope, filters=content["filters"].filters)
        for each, count in _whole_partitions(run, rows):
            rows = rows.exclude(pk__gte=each.low or 0, pk__lt=each.high)
            keys = {"after": (each.low or 0) - 1, "until": each.high - 1}
            yield Part(content={"low": each.low, "high": each.high, **keys}, parts=count)
        yield from _parts(run, rows, content["target"])

    def process(self, run: SubtaskRun) -> Result:
        """Raises LunaError IMAGE_STORE_DISABLED before it deletes objects whose samples cannot be deleted."""
        _samples_check(run.content)
        if run.content["target"] in DESCRIPTORS:
            return _descriptors_process(run)
        if "low" in run.part:
            return _partition_process(run)
        return _objects_process(run)

    def merge(self, run: TaskRun, results: Iterator[Any]) -> Result:
        return _merged(run, results) if run.content["store_results"] else None


TYPE = Gc()


def _samples_check(content: Any) -> None:
    if content["remove_samples"] and not results_are_stored():
        raise LunaError(errors.IMAGE_STORE_DISABLED)


def _default_check(content: Any) -> None:
    try:
        default_check(content["options"]["descriptor_version"])
    except ValueError as error:
        raise LunaError(errors.INVALID_JSON, f"{error}. Path: 'content.options.descriptor_version'") from error


def _parts(run: TaskRun, rows: "QuerySet[Any]", kind: ObjectsType) -> Iterator[Part]:
    for after, until, count in key_ranges(rows, size=SUBTASK_OBJECTS, check=run.check):
        yield Part(content={"objects": kind, "after": after, "until": until}, parts=max(count, 1))


def _whole_partitions(run: TaskRun, rows: "QuerySet[Any]") -> Iterator[tuple[Bounded, int]]:
    """Yield the partitions of events that can be dropped, with their numbers of events: all of their events pass.

    None if samples, source images or ids of events are needed, which are read from the events.
    """
    content = run.content
    reading = ("remove_samples", "remove_image_origins", "store_results")
    if content["target"] != "events" or any(content[name] for name in reading):
        return
    past = key_at(utc_now()) - STORING  # events may still be stored in later partitions
    for each in partitions_of(EVENTS):
        if each.high is None or each.high > past or each.detaching:
            continue
        with watched(run):
            passing = _inside(rows, each.low, each.high).count()
            whole = passing and passing == _inside(Event.objects.unscoped(), each.low, each.high).count()
        if whole:
            yield Bounded(each.low, each.high), passing


def _inside(rows: "QuerySet[Any]", low: int | None, high: int) -> "QuerySet[Any]":
    return rows.filter(pk__gte=low or 0, pk__lt=high)


def _objects_process(run: SubtaskRun) -> Result:
    content, part = run.content, run.part
    scope = content_scope(content, run.scope)
    rows = objects_of(content["target"], scope=scope, filters=content["filters"].filters)
    state = {"after": part["after"], "done": 0, **dict.fromkeys(COUNTS, 0), **run.state}
    ids = bytearray(run.blob or b"")
    delete = _faces_delete if content["target"] == "faces" else _events_delete
    while keys := [*rows_after(rows, state["after"], part["until"], PAGE).values_list("pk", flat=True)]:
        run.check()
        delete(run, rows, keys, state, ids)
    return _result(run, state, ids)


def _faces_delete(
    run: SubtaskRun, rows: "QuerySet[Any]", keys: Sequence[int], state: dict[str, int], ids: bytearray
) -> None:
    """Delete a page of faces in a checkpoint, which stores counts and ids."""
    with _page(run, keys, state, ids):
        faces = faces_delete_passing(faces=rows, keys=keys, actor=run.actor)
        state["removed"] += len(faces)
        _keep(run, ids, (face.face_id for face in faces))
        if run.content["remove_samples"]:
            state["samples"] += stored_remove(samples_of_faces(faces), actor=run.actor)


def _events_delete(
    run: SubtaskRun, rows: "QuerySet[Any]", keys: Sequence[int], state: dict[str, int], ids: bytearray
) -> None:
    """Delete a page of events in a checkpoint, which stores counts and ids.

    Requests to other servers precede the transaction: after a crash between the two, they are repeated, not lost.
    """
    asked = 0
    if run.content["remove_image_origins"]:
        _, foreign = origins_of(rows.filter(pk__in=keys).only("event_id", *DETECTIONS.values()))
        asked = foreign_remove(run, foreign)
    with _page(run, keys, state, ids):
        events = events_delete(events=rows.filter(pk__in=keys), actor=run.actor)
        state["removed"] += len(events)
        _keep(run, ids, (event.event_id for event in events))
        for account_id in {event.account_id for event in events}:
            mine = [event.event_id for event in events if event.account_id == account_id]
            callbacks_forget(account_id=account_id, object_ids=mine)
        if run.content["remove_samples"]:
            state["samples"] += stored_remove(samples_of_events(events), actor=run.actor)
        if run.content["remove_image_origins"]:
            own, _ = origins_of(events) if results_are_stored() else ({}, {})
            state["image_origins"] += asked + stored_remove(own, actor=run.actor)


@contextmanager
def _page(run: SubtaskRun, keys: Sequence[int], state: dict[str, int], ids: bytearray | None) -> Iterator[None]:
    """Open the checkpoint after a page of keys."""
    state["after"] = keys[-1]
    state["done"] += len(keys)
    with run.checkpoint(state, blob=ids, parts_done=state["done"]):
        yield


def _keep(run: SubtaskRun, ids: bytearray, found: Iterable[UUID]) -> None:
    if run.content["store_results"]:
        ids += b"".join(each.bytes for each in found)


def _partition_process(run: SubtaskRun) -> Result:
    """Drop a partition whose events all pass. The checkpoint before the drop counts them, because they are gone after.

    If events that do not pass have appeared since the split, the passing ones are deleted one by one.
    """
    low, high = run.part["low"], run.part["high"]
    scope = content_scope(run.content, run.scope)
    rows = objects_of("events", scope=scope, filters=run.content["filters"].filters)
    if "after" in run.state:
        return _objects_process(run)
    if "removed" not in run.state:
        inside = _inside(Event.objects.unscoped(), low, high)
        with watched(run):
            count = inside.count()
            if count != _inside(rows, low, high).count():
                return _objects_process(run)
            accounts = [*inside.order_by().values_list("account_id", flat=True).distinct()]
        with run.checkpoint({"removed": count}, parts_done=count):
            for account_id in accounts:
                callbacks_forget(account_id=account_id, object_ids=inside.values("event_id"))
    with watched(run):
        partition_drop(low=low, high=high, actor=run.actor)
    return None  # `_whole_partitions` returns none if a result is wanted


def _descriptors_process(run: SubtaskRun) -> Result:
    kind, number = run.part["objects"], run.content["options"]["descriptor_version"]
    scope = content_scope(run.content, run.scope)
    rows = owners_of(objects=kind, scope=scope, number=number)
    state = {"after": run.part["after"], "done": 0, "removed": 0, **run.state}
    while keys := [*rows_after(rows, state["after"], run.part["until"], PAGE).values_list("pk", flat=True)]:
        run.check()
        _default_check(run.content)  # an operator may select the version at any time
        with _page(run, keys, state, None):
            if not run.state:
                drop_audit(objects=kind, scope=scope, number=number, actor=run.actor)
            state["removed"] += descriptors_remove(objects=kind, number=number, keys=keys, force=True)
    return {"removed": state["removed"]} if run.content["store_results"] else None


def _result(run: SubtaskRun, state: Mapping[str, int], ids: bytearray) -> Result:
    if not run.content["store_results"]:
        return None
    found = [str(UUID(bytes=bytes(ids[at : at + 16]))) for at in range(0, len(ids), 16)]
    return {**{name: state[name] for name in COUNTS}, _ids_name(run): found}


def _ids_name(run: TaskRun) -> str:
    return f"{run.content['target'][:-1]}_ids"


def _merged(run: TaskRun, results: Iterator[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield the sums of the counts, and all ids."""
    sums: Counter[str] = Counter()
    name, comma = _ids_name(run), b""
    yield b"{" if run.content["target"] in DESCRIPTORS else b'{"%b":[' % name.encode()
    for each in results:
        sums.update({count: each[count] for count in COUNTS if count in each})
        if ids := orjson.dumps(each.get(name, []))[1:-1]:
            yield comma + ids
            comma = b","
    yield (b"" if run.content["target"] in DESCRIPTORS else b"],") + orjson.dumps(dict(sums))[1:]
