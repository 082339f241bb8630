"""Numbers of tasks and schedules of all accounts, for metrics."""

from collections import Counter
from collections.abc import Mapping

from django.db.models import Count

from apps.monitoring.metrics.sources import Source, Values
from apps.tasks.choices import UNFINISHED, ScheduleStatus, TaskStatus
from apps.tasks.models import Schedule, Subtask, Task
from apps.tasks.types.registry import task_types

TASKS, SUBTASKS, SCHEDULES = "luna_tasks", "luna_subtasks", "luna_schedules"


def read() -> Mapping[str, Values]:
    """Return the numbers of tasks by type and status, of unfinished subtasks and of schedules by status."""
    unfinished = Subtask.objects.filter(subtask_status__in=UNFINISHED)
    names = {kind: each.name for kind, each in task_types().items()}
    tasks: Counter[tuple[str, str]] = Counter()
    rows = Task.everything.order_by().values_list("task_type", "task_status").annotate(number=Count("*"))
    for kind, status, number in rows:
        tasks[names.get(kind, "unknown"), TaskStatus(status).name.lower()] += number
    subtasks = dict(unfinished.order_by().values_list("subtask_status").annotate(number=Count("*")))
    schedules = dict(Schedule.everything.order_by().values_list("status").annotate(number=Count("*")))
    return {
        TASKS: [({"task_type": kind, "status": status}, number) for (kind, status), number in tasks.items()],
        SUBTASKS: [
            ({"status": status.name.lower()}, subtasks.get(status, 0))
            for status in (TaskStatus.PENDING, TaskStatus.IN_PROGRESS)
        ],
        SCHEDULES: [({"status": status.name.lower()}, schedules.get(status, 0)) for status in ScheduleStatus],
    }


SOURCE = Source(
    "tasks",
    {TASKS: "Tasks", SUBTASKS: "Subtasks that are not finished", SCHEDULES: "Schedules of tasks"},
    read,
)
