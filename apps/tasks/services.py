"""Changes of tasks by clients and operators. Workers change them in `machine`."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.accounts.audit import audit_write
from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.common.tracing import current_traceparent
from apps.imagestore.models import StoredObject
from apps.imagestore.services import check_ttl, object_view
from apps.tasks.choices import UNFINISHED, TaskStatus
from apps.tasks.contents import content_check
from apps.tasks.machine.ends import task_stop
from apps.tasks.machine.wakeup import wake
from apps.tasks.models import Subtask, SubtaskOutput, Task, TaskError
from apps.tasks.notifications import policy_check, policy_seal
from apps.tasks.results import BUCKET, results_remove
from apps.tasks.secrets import content_seal
from apps.tasks.selectors import (
    result_errors,
    subtask_get,
    subtask_name,
    subtask_result_id,
    task_error_get,
    task_get,
    task_result_id,
)
from apps.tasks.types.base import TaskType

ATTEMPTS = 3  # a checkpoint may store errors while the rows of its task are deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDraft:
    """A task to create. `content`: JSON as the client sent it. `result_ttl_days`: None for that of the bucket."""

    content: Mapping[str, Any]
    description: str = ""
    result_ttl_days: int | None = None
    notification_policy: Mapping[str, Any] | None = None
    schedule_id: int | None = None


def task_create(*, task_type: TaskType, account_id: UUID | None, draft: TaskDraft, actor: Actor) -> Task:
    """Create a task, which a worker begins at once. `account_id`: None for a task of all accounts.

    Raises LunaError INVALID_JSON, IMAGE_STORE_DISABLED, HANDLERS_DISABLED, BAD_QUERY_PARAMETERS for a time to live, and
    those of the type's `check`.
    """
    now = utc_now()
    check_ttl(draft.result_ttl_days)
    content_check(task_type, draft.content, scope=Scope(account_id), now=now, scheduled=draft.schedule_id is not None)
    with transaction.atomic():
        task: Task = Task.objects.create(
            account_id=account_id,
            task_type=task_type.number,
            create_time=now,
            last_update_time=now,
            content=content_seal(task_type, dict(draft.content)),
            description=draft.description,
            result_ttl_days=draft.result_ttl_days,
            notification_policy=policy_seal(draft.notification_policy),
            schedule_id=draft.schedule_id,
            creator_id=actor.account_id,
            token_id=actor.token_id,
            remote_address=actor.remote_address,
            traceparent=current_traceparent(),
        )
        transaction.on_commit(wake, robust=True)
    return task


def task_cancel(*, scope: Scope, task_id: int) -> None:
    """Cancel a task and its unfinished subtasks; running ones stop within a second.

    Raises LunaError TASK_NOT_FOUND, TASK_NOT_CANCELLABLE for a task that has ended.
    """
    task_get(scope=scope, task_id=task_id)
    with transaction.atomic():
        task = Task.objects.for_scope(scope).select_for_update(no_key=True).filter(task_id=task_id).first()
        if task is None:
            raise LunaError(errors.TASK_NOT_FOUND, task_id)
        if task.task_status not in UNFINISHED:
            raise LunaError(errors.TASK_NOT_CANCELLABLE, task_id, task.task_status)
        task_stop(task, TaskStatus.CANCELLED, LunaError(errors.TASK_CANCELLED, task_id))
        transaction.on_commit(wake, robust=True)


def task_delete(*, scope: Scope, task_id: int, actor: Actor) -> None:
    """Delete a task with its subtasks, errors and results; a running one is cancelled first.

    Raises LunaError TASK_NOT_FOUND.
    """
    task = task_get(scope=scope, task_id=task_id)
    with suppress(LunaError):  # it has ended
        task_cancel(scope=scope, task_id=task_id)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                tasks_erase([task_id], actor=actor)
                audit_write(
                    action="delete", object_type="task", object_id=task_id, account_id=task.account_id, actor=actor
                )
            return
        except IntegrityError:
            if attempt == ATTEMPTS:
                raise


def tasks_erase(task_ids: Iterable[int], *, actor: Actor | None) -> None:
    """Delete tasks with all that belongs to them in the caller's transaction; results leave audit lines.

    Raises IntegrityError if a running subtask stores errors at this moment.
    """
    ids = [*task_ids]
    subtasks = Subtask.objects.filter(task_id__in=ids)
    tasks = Task.objects.unscoped().filter(task_id__in=ids)
    result_ids = {*subtasks.values_list("result_id", flat=True), *tasks.values_list("result_id", flat=True)}
    results_remove([each for each in result_ids if each is not None], actor=actor)
    TaskError.objects.filter(task_id__in=ids)._raw_delete("default")
    SubtaskOutput.objects.filter(subtask__in=subtasks)._raw_delete("default")
    subtasks._raw_delete("default")
    tasks._raw_delete("default")


def task_result_view(*, scope: Scope, task_id: int, actor: Actor) -> StoredObject:
    """Return the stored result of a task that `actor` reads, and write the audit line.

    Raises LunaError TASK_NOT_FOUND, and those of `task_result_id`.
    """
    task = task_get(scope=scope, task_id=task_id)
    with result_errors(task_id):
        return object_view(scope=Scope(None), bucket=BUCKET, object_id=task_result_id(task), actor=actor)


def subtask_result_view(*, scope: Scope, task_id: int, subtask_id: int, actor: Actor) -> StoredObject:
    """Return the stored result of a subtask that `actor` reads, and write the audit line.

    Raises LunaError TASK_NOT_FOUND, and those of `task_result_id`.
    """
    subtask = subtask_get(scope=scope, task_id=task_id, subtask_id=subtask_id)
    with result_errors(subtask_name(subtask)):
        return object_view(scope=Scope(None), bucket=BUCKET, object_id=subtask_result_id(subtask), actor=actor)


def task_policy_replace(*, scope: Scope, task_id: int, policy: Any) -> None:
    """Replace the notification policy of a task; masks keep its secrets. None removes it.

    Raises LunaError TASK_NOT_FOUND, INVALID_JSON, CREDENTIALS_DECRYPTION_FAILED for kept secrets of another key.
    """
    task_get(scope=scope, task_id=task_id)
    with transaction.atomic():
        task = Task.objects.for_scope(scope).select_for_update(no_key=True).filter(task_id=task_id).first()
        if task is None:
            raise LunaError(errors.TASK_NOT_FOUND, task_id)
        task.notification_policy = policy_seal(policy, task.notification_policy)
        policy_check(task.notification_policy)
        task.last_update_time = utc_now()
        task.save(update_fields=("notification_policy", "last_update_time"))


@transaction.atomic
def task_error_delete(*, scope: Scope, error_id: int, actor: Actor) -> None:
    """Delete an error of a task. Raises LunaError TASK_ERROR_NOT_FOUND."""
    error = task_error_get(scope=scope, error_id=error_id)
    error.delete()
    audit_write(
        action="delete", object_type="task_error", object_id=error_id, account_id=error.task.account_id, actor=actor
    )
