"""Reads of tasks."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db.models import QuerySet

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.imagestore.models import StoredObject
from apps.imagestore.selectors import object_get
from apps.tasks.choices import UNFINISHED, TaskStatus
from apps.tasks.models import Task
from apps.tasks.results import BUCKET

MAX_ID = 2**63 - 1


def task_get(*, scope: Scope, task_id: int) -> Task:
    """Return a task in the scope. Raises LunaError TASK_NOT_FOUND."""
    found = Task.objects.for_scope(scope).filter(task_id=task_id).first() if 0 < task_id <= MAX_ID else None
    if found is None:
        raise LunaError(errors.TASK_NOT_FOUND, task_id)
    task: Task = found
    return task


def tasks_filter(*, scope: Scope) -> QuerySet[Task]:
    """Return the tasks in the scope, the newest first."""
    tasks: QuerySet[Task] = Task.objects.for_scope(scope).order_by("-task_id")
    return tasks


def tasks_page(*, scope: Scope, page: Page) -> list[Task]:
    """Return a page of tasks, the newest first."""
    return [*tasks_filter(scope=scope)[page.slice]]


def task_result_id(task: Task) -> UUID:
    """Return the id of the result of a task that ended with one. The result may have expired since.

    Raises LunaError TASK_RESULT_NOT_READY before the end, TASK_STATUS_WITHOUT_RESULT for a task that failed or was
    cancelled, TASK_RESULT_NOT_FOUND without a result.
    """
    if task.task_status in UNFINISHED:
        raise LunaError(errors.TASK_RESULT_NOT_READY, task.task_id)
    if task.task_status != TaskStatus.DONE:
        raise LunaError(errors.TASK_STATUS_WITHOUT_RESULT, task.task_id, task.task_status)
    if task.result_id is None:
        raise LunaError(errors.TASK_RESULT_NOT_FOUND, task.task_id)
    return task.result_id


def task_result(*, scope: Scope, task_id: int) -> StoredObject:
    """Return the row of a task's result, without an audit line: for its headers only.

    Raises LunaError TASK_NOT_FOUND, and those of `task_result_id`.
    """
    task = task_get(scope=scope, task_id=task_id)
    with result_errors(task_id):
        return object_get(scope=Scope(None), bucket=BUCKET, object_id=task_result_id(task))


@contextmanager
def result_errors(task_id: int) -> Iterator[None]:
    """Raise LunaError TASK_RESULT_NOT_FOUND instead of that of an object: the result expired or was deleted."""
    try:
        yield
    except LunaError as error:
        if error.code != errors.OBJECT_NOT_FOUND:
            raise
        raise LunaError(errors.TASK_RESULT_NOT_FOUND, task_id) from error
