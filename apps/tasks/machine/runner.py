"""The execution of one claimed stage: split, process or merge, with its end."""

import logging
import shutil
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction

from apps.common import errors
from apps.common.config import Directories, config
from apps.common.errors import LunaError
from apps.monitoring.traces import task_span
from apps.tasks.contents import content_read
from apps.tasks.machine import ends, queue
from apps.tasks.machine.queue import MAX_ATTEMPTS, Stage, Unit
from apps.tasks.machine.runs import Lease, StageRun, SubtaskStageRun, error_ids_assign
from apps.tasks.models import Subtask, Task, TaskError
from apps.tasks.results import TaskErrorJson, error_body, result_open, result_store, results_are_stored, results_remove
from apps.tasks.types.base import LeaseLost, Result, StageCancelled, TaskType
from apps.tasks.types.registry import task_types

logger = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError)
MAY_PASS = 500  # the lowest HTTP status of an error that is tried again


def work_directory() -> Path:
    """Return the directory of the temporary directories of stages, named by their tokens."""
    return config(Directories).var / "tasks"


def claim(*, excluded: Collection[UUID | None] = (), served: Sequence[UUID | None] = ()) -> Unit | None:
    """Claim the most urgent stage, with the callbacks about its new status. Parameters: see `queue.claim`."""
    with transaction.atomic():
        unit = queue.claim(excluded=excluded, served=served)
        if unit is not None and unit.former is None and unit.attempts == 0:
            ends.stage_started(unit)
    return unit


def execute(lease: Lease) -> None:
    """Execute a stage and end it. Never raises an Exception: what cannot be stored is left to the lease's end."""
    unit = lease.unit
    try:
        _execute(lease)
    except AWAY:
        logger.warning("%s of task %s waits for the database", unit.stage, unit.task_id, exc_info=True)
        connection.close()
    except Exception:
        logger.exception("%s of task %s could not be ended", unit.stage, unit.task_id)


def _execute(lease: Lease) -> None:
    unit = lease.unit
    if unit.former is not None:
        _discard(replace(unit, token=unit.former))
    task = Task.objects.unscoped().filter(task_id=unit.task_id).first()
    if task is None:
        return
    with _directory(unit) as directory:
        common: dict[str, Any] = {"task": task, "content": None, "directory": directory}
        run: StageRun
        if unit.stage is Stage.PROCESS:
            subtask = Subtask.objects.filter(subtask_id=unit.key).first()
            if subtask is None:
                return
            run = SubtaskStageRun(lease, subtask=subtask, **common)
        else:
            run = StageRun(lease, **common)
        lease.run = run
        try:
            _attempt(run)
        except StageCancelled:
            _discard(unit)
            ends.subtasks_sweep(lease_token=unit.token)
        except LeaseLost:
            _discard(unit)
            queue.release(unit)


def _attempt(run: StageRun) -> None:
    """Execute a stage to its end, fail its task, or release it for another attempt."""
    unit = run.unit
    try:
        if unit.former is not None and unit.attempts >= MAX_ATTEMPTS:
            raise LunaError(errors.TASK_WORKER_STOPPED)
        task_type = task_types().get(run.task_type)
        if task_type is None:
            raise LunaError(errors.SUBTASKS_DISPATCH_FAILED, f"the type {run.task_type} of tasks is not installed")
        run.content = content_read(task_type, run.task.content, now=run.create_time)
        with task_span(unit.stage, traceparent=run.task.traceparent, task_type=run.task_type):
            STAGES[unit.stage](run, task_type)
    except LunaError as error:
        run.check()  # an error of a stage that was told to end says nothing about the task
        logger.info("%s of task %s failed: %s", unit.stage, unit.task_id, error)
        _discard(unit)
        if error.status >= MAY_PASS and unit.attempts + 1 < MAX_ATTEMPTS:
            queue.release(unit, failed=True)
        else:
            ends.stage_fail(run, error)
    except AWAY:  # perhaps of a commit: the lease stays, and the next holder deletes the result if there was none
        connection.close()
        raise
    except Exception as error:
        run.check()
        logger.exception("%s of task %s failed", unit.stage, unit.task_id)
        _discard(unit)
        ends.stage_fail(run, LunaError(errors.INTERNAL_ERROR, type(error).__name__))


def _discard(unit: Unit) -> None:
    """Delete the result that was stored under a lease whose end was not. The job `tasks.results` finds what is left."""
    with suppress(LunaError):
        results_remove([unit.token])


def _split(run: StageRun, task_type: TaskType) -> None:
    parts = []
    for part in task_type.split(run):
        run.check()
        parts.append(part)
    ends.split_end(run, parts)


def _process(run: StageRun, task_type: TaskType) -> None:
    result = task_type.process(cast(SubtaskStageRun, run))
    run.check()
    ends.process_end(run, _stored(run, result))


def _merge(run: StageRun, task_type: TaskType) -> None:
    if not results_are_stored():
        ends.merge_end(run, None)
        return
    result = task_type.merge(run, _results(run))
    run.check()
    ends.merge_end(run, _stored(run, result))


STAGES = {Stage.SPLIT: _split, Stage.PROCESS: _process, Stage.MERGE: _merge}


def _results(run: StageRun) -> Iterator[Any]:
    """Yield the results of the subtasks, in order."""
    ids = Subtask.objects.filter(task_id=run.task_id).order_by("subtask_id").values_list("result_id", flat=True)
    for result_id in [*ids]:
        run.check()
        with result_open(result_id) as result:
            yield result


def _stored(run: StageRun, result: Result) -> Any:
    try:
        return result_store(task=run.task, result_id=run.unit.token, result=result, task_errors=_errors(run))
    finally:
        if isinstance(result, Generator):
            result.close()


def _errors(run: StageRun) -> Iterator[TaskErrorJson]:
    """Yield the errors of a result: of a subtask its own, of a task all. The last ones are not stored yet."""
    rows = TaskError.objects.filter(task_id=run.task_id).order_by("error_id")
    if run.unit.subtask_id is not None and Subtask.objects.filter(task_id=run.task_id).count() > 1:
        rows = rows.filter(subtask_id=run.unit.subtask_id)
    for row in rows.iterator(chunk_size=1000):
        yield error_body(row)
    error_ids_assign(run.found)
    for row in run.found:
        yield error_body(row)


@contextmanager
def _directory(unit: Unit) -> Iterator[Path]:
    directory = work_directory() / str(unit.token)
    directory.mkdir(parents=True, mode=0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def directories_clean() -> None:
    """Remove the directories that killed workers of this machine left."""
    found = [each for each in work_directory().glob("*") if each.is_dir()]
    if not found:
        return
    live = queue.live_tokens()
    for directory in found:
        if directory.name not in live:
            shutil.rmtree(directory, ignore_errors=True)
