"""Erasure of a person or an account from tasks: results, checkpoints, errors and contents that name the person."""

import io
import re
import zipfile
from collections.abc import Collection, Iterator
from typing import IO, Any
from uuid import UUID

import orjson
from django.db import connection, transaction
from django.db.models import Q

from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.holdings import Erasure, Report, Trace
from apps.common.times import utc_now
from apps.imagestore.erasure import object_reference
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_open
from apps.tasks.choices import UNFINISHED, ScheduleStatus, TaskStatus
from apps.tasks.machine.ends import task_stop
from apps.tasks.machine.queue import revoke
from apps.tasks.machine.wakeup import wake
from apps.tasks.models import Schedule, Subtask, Task, TaskError
from apps.tasks.outputs import outputs_erase, outputs_where
from apps.tasks.results import BUCKET, TASK_KEY, results_remove
from apps.tasks.types.base import ZIP_TYPE

CHUNK_BYTES = 1024 * 1024
TABLES = (".csv", ".json", ".txt")
ID_BYTES = 36
FORM = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
UUIDS = re.compile(FORM.encode(), re.IGNORECASE)  # contents have ids as clients wrote them
ERRORS = """
SELECT error_id FROM tasks_taskerror WHERE task_id = ANY(%(tasks)s) AND EXISTS (
    SELECT FROM regexp_matches(lower(concat_ws(' ', additional_info, detail)), %(form)s, 'g') AS found(ids)
    WHERE found.ids[1] = ANY(%(ids)s)
)
"""
KINDS = ("face", "event", "mention", "attribute")


def results_erase(account_id: UUID, erasure: Erasure) -> None:
    """End the account's tasks, and remove results of tasks of all accounts since it exists: they may have its objects.

    Results of the account's own tasks are erased with its other objects. Raises LunaError when the storage fails.
    """
    unfinished = Task.objects.unscoped().filter(account_id=account_id, task_status__in=UNFINISHED)
    unfinished.update(task_status=TaskStatus.CANCELLED, lease_token=None, lease_time=None)  # its stages write no more
    since = Account.objects.filter(account_id=account_id).values_list("create_time", flat=True).first()
    rows = Task.objects.unscoped().filter(account=None, result_id__isnull=False)
    ids = [*rows.filter(create_time__gte=since).values_list("result_id", flat=True)] if since else []
    stored = StoredObject.objects.unscoped().filter(bucket=BUCKET, object_id__in=ids).count()
    results_remove(ids)
    erasure.went(StoredObject._meta.db_table, stored)


class PersonTasks:
    """Results with an id of the person's objects are erased as objects of the Image Store. Their rows all have one.

    A running task whose content or checkpoint names the person, also by the external id, is cancelled, and the content
    is emptied. A schedule whose content names the person is stopped, and its content is emptied. Errors that name the
    person are deleted, and such items of the result of a running subtask. After the erasure, stages that were running
    continue from their last checkpoint, and what they stored in the meantime is searched again.
    """

    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}
        self.schedule_ids: list[int] = []
        self.error_ids: list[int] = []
        self.output_keys: list[int] = []
        self._needles: frozenset[str] = frozenset()
        self._accounts: set[UUID] = set()
        self._searched: set[tuple[UUID, frozenset[str]]] = set()

    def find(self, trace: Trace) -> None:
        needles = frozenset(object_id for kind in KINDS for ids in trace.of(kind).values() for object_id in ids)
        self._accounts = {account_id for kind in KINDS for account_id in trace.of(kind)}
        if needles:
            mine = Q(account_id__in=self._accounts) | Q(account=None)
            self._find_results(trace, needles, mine)
            self._find_rows(needles, mine, trace.external_id)

    def _find_results(self, trace: Trace, needles: frozenset[str], mine: Q) -> None:
        ids = Task.objects.unscoped().filter(mine).values_list("task_id", flat=True)
        results = StoredObject.objects.unscoped().filter(bucket=BUCKET, **{f"meta__{TASK_KEY}__in": [*ids]})
        for row in results.iterator():
            if (row.object_id, needles) in self._searched:
                continue
            self._searched.add((row.object_id, needles))
            if _names(row, needles):
                trace.named.add(object_reference(row.account_id, row.bucket, row.object_id))

    def _find_rows(self, needles: frozenset[str], mine: Q, external_id: str | None) -> None:
        quoted = None if external_id is None else orjson.dumps(external_id)

        def names(*values: Any) -> bool:
            texts = [value if isinstance(value, bytes) else orjson.dumps(value) for value in values]
            return any(_ids(text) & needles or (quoted is not None and quoted in text) for text in texts)

        tasks = Task.objects.unscoped().filter(mine)
        running = Subtask.objects.filter(task__in=tasks, subtask_status__in=UNFINISHED)
        found = {key for key, content in tasks.values_list("task_id", "content").iterator() if names(content)}
        found |= {row.task_id for row in running.iterator() if names(row.content, row.state, bytes(row.blob or b""))}
        self.tasks = {task.task_id: task for task in tasks.filter(task_id__in=found)}
        schedules = Schedule.objects.unscoped().filter(mine).values_list("schedule_id", "content")
        self.schedule_ids = [key for key, content in schedules.iterator() if names(content)]
        with connection.cursor() as cursor:
            cursor.execute(
                ERRORS, {"ids": [*needles], "form": FORM, "tasks": [*tasks.values_list("task_id", flat=True)]}
            )
            self.error_ids = [error_id for (error_id,) in cursor]
        self._needles = needles
        self.output_keys = outputs_where(tasks=tasks, matches=self._names)

    def _names(self, item: bytes) -> bool:
        return not _ids(item).isdisjoint(self._needles)

    def erase(self, trace: Trace) -> None:
        ids = [*self.tasks]
        for task in Task.objects.unscoped().select_for_update(no_key=True).filter(task_id__in=ids).order_by("task_id"):
            if task.task_status in UNFINISHED:
                task_stop(task, TaskStatus.CANCELLED, LunaError(errors.TASK_CANCELLED, task.task_id))
        Task.objects.unscoped().filter(task_id__in=ids).update(content={})
        Subtask.objects.filter(task_id__in=ids).update(content={}, state={}, blob=None)
        Schedule.objects.unscoped().filter(schedule_id__in=self.schedule_ids).update(
            content={}, status=ScheduleStatus.STOPPED, next_run_at=None, last_update_time=utc_now()
        )
        TaskError.objects.filter(error_id__in=self.error_ids).delete()
        outputs_erase(keys=self.output_keys, matches=self._names)

    def clean(self, trace: Trace) -> None:
        """Restart the running stages, and erase what they stored between the search and the erasure.

        The Image Store removes the files of the results that were found before.
        """
        if not self._needles:
            return
        revoke(self._accounts)
        late = PersonTasks()
        late._searched, known = self._searched, set(trace.named)
        late.find(trace)
        results_remove([UUID(each.object_id.rpartition("/")[2]) for each in trace.named - known], actor=trace.actor)
        with transaction.atomic():
            late.erase(trace)
        self._add(late)
        wake()

    def _add(self, late: "PersonTasks") -> None:
        self.tasks |= late.tasks
        self.schedule_ids += late.schedule_ids
        self.error_ids += late.error_ids

    def report(self) -> Report:
        return {
            "tasks": sorted(map(str, self.tasks)),
            "schedules": sorted(map(str, self.schedule_ids)),
            "task_errors": len(self.error_ids),
        }


def _ids(data: bytes) -> set[str]:
    return {each.decode().lower() for each in UUIDS.findall(data)}


def _names(row: StoredObject, needles: Collection[str]) -> bool:
    """Return whether a result contains one of the ids. A result that cannot be read counts as one that does."""
    try:
        with object_open(stored=row) as file:
            if row.content_type == ZIP_TYPE:
                return any(_contains(each, needles) for each in _members(file))
            return _contains(file, needles)
    except (LunaError, OSError, zipfile.BadZipFile):
        return True


def _members(file: Any) -> Iterator[IO[bytes]]:
    """Yield the names of an archive's members, and its tables. Pictures are not searched."""
    with zipfile.ZipFile(file) as archive:
        yield io.BytesIO("\n".join(archive.namelist()).encode())
        for member in archive.infolist():
            if member.filename.endswith(TABLES):
                with archive.open(member) as opened:
                    yield opened


def _contains(file: Any, needles: Collection[str]) -> bool:
    """Search a stream in chunks, which overlap by the length of an id."""
    tail = b""
    while chunk := file.read(CHUNK_BYTES):
        window = tail + chunk
        if not _ids(window).isdisjoint(needles):
            return True
        tail = window[1 - ID_BYTES :]
    return False
