"""Reads of tasks."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db.models import QuerySet

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.filters import Filters, to_q
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.imagestore.models import StoredObject
from apps.imagestore.selectors import object_get
from apps.tasks.choices import UNFINISHED, TaskStatus
from apps.tasks.models import Subtask, Task, TaskError
from apps.tasks.results import BUCKET
from apps.tasks.terms import ERROR_TERMS, MAX_ID, TASK_TERMS


def task_get(*, scope: Scope, task_id: int) -> Task:
    """Return a task in the scope. Raises LunaError TASK_NOT_FOUND."""
    found = Task.objects.for_scope(scope).filter(task_id=task_id).first() if 0 < task_id <= MAX_ID else None
    if found is None:
        raise LunaError(errors.TASK_NOT_FOUND, task_id)
    task: Task = found
    return task


def tasks_filter(*, scope: Scope, filters: Filters) -> QuerySet[Task]:
    """Return the tasks in the scope that pass the filters, in no order."""
    tasks: QuerySet[Task] = Task.objects.for_scope(scope).filter(to_q(filters, TASK_TERMS))
    return tasks


def tasks_page(*, scope: Scope, filters: Filters, page: Page) -> list[Task]:
    """Return a page of tasks, the newest first."""
    return [*tasks_filter(scope=scope, filters=filters).order_by("-task_id")[page.slice]]


def subtasks_page(*, scope: Scope, task_id: int, page: Page) -> list[Subtask]:
    """Return a page of the subtasks of a task, in their order. Raises LunaError TASK_NOT_FOUND."""
    task_get(scope=scope, task_id=task_id)
    rows = Subtask.objects.filter(task_id=task_id).defer("state", "blob").order_by("subtask_id")
    return [*rows[page.slice]]


def subtask_get(*, scope: Scope, task_id: int, subtask_id: int) -> Subtask:
    """Return a subtask of a task. Raises LunaError TASK_NOT_FOUND, also for an unknown subtask."""
    task_get(scope=scope, task_id=task_id)
    rows = Subtask.objects.filter(task_id=task_id).defer("state", "blob")
    found = rows.filter(subtask_id=subtask_id).first() if 0 < subtask_id <= MAX_ID else None
    if found is None:
        raise LunaError(errors.TASK_NOT_FOUND, f"{task_id}, subtask {subtask_id}")
    return found


def errors_filter(*, scope: Scope, filters: Filters) -> QuerySet[TaskError]:
    """Return the errors of the tasks in the scope that pass the filters, in no order."""
    rows = TaskError.objects.filter(to_q(filters, ERROR_TERMS))
    return rows if scope.account_id is None else rows.filter(task__account_id=scope.account_id)


def errors_page(*, scope: Scope, filters: Filters, page: Page) -> list[TaskError]:
    """Return a page of errors of tasks, the newest first."""
    return [*errors_filter(scope=scope, filters=filters).order_by("-error_id")[page.slice]]


def task_errors_page(*, scope: Scope, task_id: int, page: Page) -> list[TaskError]:
    """Return a page of the errors of a task, the newest first. Raises LunaError TASK_NOT_FOUND."""
    task_get(scope=scope, task_id=task_id)
    return errors_page(scope=scope, filters={"task_id": [task_id]}, page=page)


def task_error_get(*, scope: Scope, error_id: int) -> TaskError:
    """Return an error of a task in the scope. Raises LunaError TASK_ERROR_NOT_FOUND."""
    rows = errors_filter(scope=scope, filters={"error_ids": [error_id]}).select_related("task")
    found = rows.first() if 0 < error_id <= MAX_ID else None
    if found is None:
        raise LunaError(errors.TASK_ERROR_NOT_FOUND, error_id)
    return found


def task_result_id(task: Task) -> UUID:
    """Return the id of the result of a task that ended with one. The result may have expired since.

    Raises LunaError TASK_RESULT_NOT_READY before the end, TASK_STATUS_WITHOUT_RESULT for a task that failed or was
    cancelled, TASK_RESULT_NOT_FOUND without a result.
    """
    return _result_id(str(task), task.task_status, task.result_id)


def subtask_result_id(subtask: Subtask) -> UUID:
    """Return the id of the result of a subtask that ended with one. Raises the errors of `task_result_id`."""
    return _result_id(subtask_name(subtask), subtask.subtask_status, subtask.result_id)


def subtask_name(subtask: Subtask) -> str:
    """Return the name of a subtask in errors."""
    return f"{subtask.task_id}, subtask {subtask.subtask_id}"


def task_result(*, scope: Scope, task_id: int) -> StoredObject:
    """Return the row of a task's result, without an audit line: for its headers only.

    Raises LunaError TASK_NOT_FOUND, and those of `task_result_id`.
    """
    task = task_get(scope=scope, task_id=task_id)
    with result_errors(task_id):
        return object_get(scope=Scope(None), bucket=BUCKET, object_id=task_result_id(task))


def subtask_result(*, scope: Scope, task_id: int, subtask_id: int) -> StoredObject:
    """Return the row of a subtask's result, as `task_result` does."""
    subtask = subtask_get(scope=scope, task_id=task_id, subtask_id=subtask_id)
    with result_errors(subtask_name(subtask)):
        return object_get(scope=Scope(None), bucket=BUCKET, object_id=subtask_result_id(subtask))


@contextmanager
def result_errors(name: object) -> Iterator[None]:
    """Raise LunaError TASK_RESULT_NOT_FOUND instead of that of an object: the result expired or was deleted."""
    try:
        yield
    except LunaError as error:
        if error.code != errors.OBJECT_NOT_FOUND:
            raise
        raise LunaError(errors.TASK_RESULT_NOT_FOUND, name) from error


def _result_id(name: str, status: int, result_id: UUID | None) -> UUID:
    if status in UNFINISHED:
        raise LunaError(errors.TASK_RESULT_NOT_READY, name)
    if status != TaskStatus.DONE:
        raise LunaError(errors.TASK_STATUS_WITHOUT_RESULT, name, status)
    if result_id is None:
        raise LunaError(errors.TASK_RESULT_NOT_FOUND, name)
    return result_id
