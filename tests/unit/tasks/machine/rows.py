"""What tests of the machine read and change: rows of tasks, leases and results."""

import orjson
from django.db import connection

from apps.common.scope import Scope
from apps.imagestore.models import StoredObject
from apps.tasks.models import Task
from tests.factories import stored_bytes


class Died(BaseException):
    """The death of a worker."""


def fresh(task: Task) -> Task:
    found: Task = Task.objects.unscoped().get(task_id=task.task_id)
    return found


def result_of(task: Task) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(
        stored_bytes(scope=Scope(None), bucket="task-result", object_id=fresh(task).result_id)  # type: ignore[arg-type]
    )
    return found


def expire_leases() -> None:
    with connection.cursor() as cursor:
        for table in ("tasks_task", "tasks_subtask"):
            cursor.execute(f"UPDATE {table} SET lease_time = now() - interval '1 s' WHERE lease_time IS NOT NULL")  # noqa: S608


def stored_results() -> int:
    return StoredObject.objects.unscoped().filter(bucket="task-result").count()
