"""JSON of tasks."""

from apps.common.times import format_time
from apps.tasks.api.serializers import SubtaskJson, TaskJson
from apps.tasks.models import Subtask, Task
from apps.tasks.notifications import policy_mask
from apps.tasks.secrets import content_mask
from apps.tasks.types.registry import task_types


def task_body(task: Task) -> TaskJson:
    return {
        "task_id": task.task_id,
        "task_type": task.task_type,
        "task_status": task.task_status,
        "account_id": None if task.account_id is None else str(task.account_id),
        "schedule_id": task.schedule_id,
        "description": task.description,
        "content": content_mask(task_types().get(task.task_type), task.content),
        "create_time": format_time(task.create_time),
        "last_update_time": format_time(task.last_update_time),
        "end_time": format_time(task.end_time),
        "result_id": None if task.result_id is None else str(task.result_id),
        "count_task_parts_done": task.count_task_parts_done,
        "count_task_parts_all": task.count_task_parts_all,
        "notification_policy": policy_mask(task.notification_policy),
    }


def subtask_body(subtask: Subtask) -> SubtaskJson:
    return {
        "subtask_id": subtask.subtask_id,
        "task_id": subtask.task_id,
        "subtask_status": subtask.subtask_status,
        "content": subtask.content,
        "create_time": format_time(subtask.create_time),
        "end_time": format_time(subtask.end_time),
        "result_id": None if subtask.result_id is None else str(subtask.result_id),
    }
