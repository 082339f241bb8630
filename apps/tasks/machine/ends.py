"""Changes of statuses, with their callbacks. The end of a stage is one transaction that requires its lease.

Locks are taken in one order: task, subtask, errors. A checkpoint locks its subtask first, so no end waits for a subtask
while it holds a lock that checkpoints need: locks of tasks leave their key free.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import DataError, IntegrityError, transaction
from django.db.models import F, Sum

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.tasks.choices import UNFINISHED, TaskStatus
from apps.tasks.machine.queue import Stage, Unit
from apps.tasks.machine.runs import StageRun, error_row
from apps.tasks.models import Subtask, Task
from apps.tasks.notifications import subtasks_changed, task_changed
from apps.tasks.types.base import Part, StageCancelled

if TYPE_CHECKING:
    from django.db.models import QuerySet

BATCH = 1000
CHANGED = (
    "task_status",
    "end_time",
    "last_update_time",
    "result_id",
    "count_task_parts_done",
    "count_task_parts_all",
    "count_errors",
    "lease_token",
    "lease_time",
)
STOPPED = (TaskStatus.CANCELLED, TaskStatus.FAILED)
NO_CHECKPOINT: Mapping[str, Any] = {"state": {}, "blob": None, "lease_token": None}


def stage_started(unit: Unit) -> None:
    """Store the callbacks about a stage that begins, in the transaction of its claim."""
    task = Task.objects.unscoped().get(task_id=unit.task_id)
    if unit.stage is Stage.SPLIT:
        task_changed(task)
    elif unit.stage is Stage.PROCESS:
        subtasks_changed(task, Subtask.objects.filter(subtask_id=unit.key))


def split_end(run: StageRun, parts: Sequence[Part]) -> None:
    """Store the subtasks of a task. Raises LunaError SUBTASKS_DISPATCH_FAILED, StageCancelled and LeaseLost."""
    now = utc_now()
    rows = [
        Subtask(task_id=run.task_id, create_time=now, content=dict(part.content), parts_all=part.parts)
        for part in parts
    ]
    if not rows:
        raise LunaError(errors.SUBTASKS_DISPATCH_FAILED, "the type defines no subtask")
    with transaction.atomic(durable=True):
        run.hold()
        rows[0].count_errors = run.store_errors()  # so that the task's number is the sum of its subtasks' at any time
        run.write_ending()
        try:
            Subtask.objects.bulk_create(rows, batch_size=BATCH)
        except (DataError, IntegrityError, TypeError, ValueError) as error:
            raise LunaError(errors.SUBTASKS_DISPATCH_FAILED, error) from error
        _task(run).update(
            lease_token=None,
            lease_time=None,
            attempts=0,
            count_task_parts_all=sum(part.parts for part in parts),
            count_errors=rows[0].count_errors,
            last_update_time=now,
        )


def process_end(run: StageRun, result_id: UUID | None) -> None:
    """End a subtask, and its task if it is the only one; the last of several starts the merge.

    Raises LunaError SUBTASK_STATUS_UPDATE_FAILED, StageCancelled and LeaseLost.
    """
    now, key = utc_now(), run.unit.key
    with (
        _written(errors.SUBTASK_STATUS_UPDATE_FAILED, key, TaskStatus.DONE),
        transaction.atomic(durable=True),
        task_locked(run.task_id) as task,
    ):
        run.hold()
        count = run.store_errors()
        run.write_ending()
        done = {"subtask_status": TaskStatus.DONE, "end_time": now, "result_id": result_id, "attempts": 0}
        mine = Subtask.objects.filter(subtask_id=key)
        if (parts := run.progress_of()[1]) is not None:  # that no heartbeat has stored yet
            mine.update(parts_all=parts)
        mine.update(**done, **NO_CHECKPOINT, parts_done=F("parts_all"), count_errors=F("count_errors") + count)
        subtasks_changed(task, mine)
        subtasks = Subtask.objects.filter(task_id=run.task_id)
        sums = subtasks.aggregate(done=Sum("parts_done"), total=Sum("parts_all"), errors=Sum("count_errors"))
        task.count_task_parts_done, task.count_task_parts_all = sums["done"], sums["total"]
        task.count_errors = sums["errors"]
        task.last_update_time = now
        if not subtasks.filter(subtask_status__in=UNFINISHED).exists():
            if subtasks.count() == 1:
                task.task_status, task.end_time, task.result_id = TaskStatus.DONE, now, result_id
            else:
                task.task_status = TaskStatus.COLLECTING
        task.save(update_fields=CHANGED)
        if task.task_status != TaskStatus.IN_PROGRESS:
            task_changed(task)


def merge_end(run: StageRun, result_id: UUID | None) -> None:
    """End a task. Raises LunaError TASK_STATUS_UPDATE_FAILED, StageCancelled and LeaseLost."""
    with (
        _written(errors.TASK_STATUS_UPDATE_FAILED, run.task_id, TaskStatus.DONE),
        transaction.atomic(durable=True),
        task_locked(run.task_id) as task,
    ):
        run.hold()
        task.count_errors += run.store_errors()
        run.write_ending()
        task.task_status, task.result_id = TaskStatus.DONE, result_id
        task.end_time = task.last_update_time = utc_now()
        task.lease_token = task.lease_time = None
        task.save(update_fields=CHANGED)
        task_changed(task)


def stage_fail(run: StageRun, error: LunaError) -> None:
    """Fail the task of a stage with an error; its other subtasks are cancelled. Raises StageCancelled and LeaseLost."""
    with transaction.atomic(durable=True), task_locked(run.task_id) as task:
        run.hold()
        count = run.store_errors()
        if run.unit.subtask_id is not None:
            mine = Subtask.objects.filter(subtask_id=run.unit.key)
            failed = {"subtask_status": TaskStatus.FAILED, "end_time": utc_now()}
            mine.update(**failed, **NO_CHECKPOINT, count_errors=F("count_errors") + count)
            subtasks_changed(task, mine)
            count = 0
        task_stop(task, TaskStatus.FAILED, error, subtask_id=run.unit.subtask_id, uncounted=count)


def subtasks_sweep(**chosen: Any) -> None:
    """Cancel unfinished subtasks of ended tasks, which were locked when their task ended. `chosen`: filters of them."""
    left = Subtask.objects.filter(subtask_status__in=UNFINISHED, **chosen)
    ids = left.filter(task__task_status__in=STOPPED).values_list("task_id", flat=True).distinct()
    for task in Task.objects.unscoped().filter(task_id__in=[*ids]):
        with transaction.atomic(durable=True):
            _subtasks_cancel(task, left)


def task_stop(
    task: Task, status: TaskStatus, error: LunaError, *, subtask_id: int | None = None, uncounted: int = 0
) -> None:
    """End a locked task before its work is done: store the reason, and cancel its unfinished subtasks.

    Subtasks that store a checkpoint at this moment are left to their workers, and to `subtasks_sweep`. `uncounted`: the
    number of errors of a split or a merge that failed.
    """
    now = utc_now()
    error_row(error, task_id=task.task_id, subtask_id=subtask_id).save()
    task.task_status, task.end_time, task.last_update_time = status, now, now
    task.lease_token = task.lease_time = None
    subtasks = Subtask.objects.filter(task_id=task.task_id).aggregate(errors=Sum("count_errors"))
    task.count_errors = (subtasks["errors"] or 0) + uncounted + 1
    task.save(update_fields=CHANGED)
    _subtasks_cancel(task, Subtask.objects.filter(subtask_status__in=UNFINISHED))
    task_changed(task)


def _subtasks_cancel(task: Task, subtasks: "QuerySet[Subtask]") -> None:
    """Cancel those subtasks of a task that no other transaction locks, with their callbacks."""
    free = subtasks.filter(task_id=task.task_id).select_for_update(skip_locked=True, no_key=True)
    cancelled = Subtask.objects.filter(subtask_id__in=[*free.values_list("subtask_id", flat=True)])
    cancelled.update(subtask_status=TaskStatus.CANCELLED, end_time=utc_now(), **NO_CHECKPOINT)
    subtasks_changed(task, cancelled)


@contextmanager
def task_locked(task_id: int) -> Iterator[Task]:
    """Yield a task, locked until the caller's transaction ends. Raises StageCancelled if it was deleted."""
    task = Task.objects.unscoped().select_for_update(no_key=True).filter(task_id=task_id).first()
    if task is None:
        raise StageCancelled
    yield task


@contextmanager
def _written(code: int, key: int, status: TaskStatus) -> Iterator[None]:
    try:
        yield
    except (DataError, IntegrityError) as error:
        raise LunaError(code, key, int(status)) from error


def _task(run: StageRun) -> Any:
    return Task.objects.unscoped().filter(task_id=run.task_id)
