"""Bodies, queries and responses of tasks."""

from functools import cache
from typing import Annotated, Any, TypedDict

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.fields import UUIDField, account_field
from apps.common.json_types import Example, IdJson, Json, OneOf, TimeJson
from apps.common.paging import PageQuery
from apps.common.validation import StrictSerializer
from apps.imagestore.types import KEEP, TTL_DAYS
from apps.tasks.choices import TaskStatus
from apps.tasks.notifications import TaskNotificationSerializer
from apps.tasks.results import TaskErrorJson
from apps.tasks.terms import ErrorFilterSerializer, TaskFilterSerializer
from apps.tasks.types.base import TaskType

DESCRIPTION_CHARACTERS = 128
ERROR = {
    "error_id": 1,
    "task_id": 1,
    "subtask_id": 1,
    "error_code": 22002,
    "description": "Object not found",
    "detail": 'Face with id "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e" not found',
    "additional_info": "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e",
    "error_time": "2026-03-14T09:26:53.589793Z",
}


class ResultStoragePolicySerializer(StrictSerializer):
    ttl = serializers.ChoiceField(
        choices=(KEEP, *TTL_DAYS),
        required=False,
        help_text=f"Days until the result is removed; {KEEP}: never. Default: that of the bucket `task-result`.",
    )


@extend_schema_field(TaskNotificationSerializer)
class NotificationPolicyField(serializers.JSONField):
    """An unparsed policy; the service validates and seals it."""


@extend_schema_field({"type": "object"})
class ContentField(serializers.JSONField):
    """An unparsed content; the service validates it by the type of the task."""


class TaskBody(StrictSerializer):
    """Body of a new task."""

    content = ContentField()
    description = serializers.CharField(
        max_length=DESCRIPTION_CHARACTERS, allow_blank=True, trim_whitespace=False, default=""
    )
    result_storage_policy = ResultStoragePolicySerializer(required=False)
    notification_policy = NotificationPolicyField(required=False)
    account_id = UUIDField(
        required=False, help_text="The account of the task. Only Admin accepts others than the client's."
    )


@cache
def body_of(task_type: TaskType) -> type[TaskBody]:
    """Return the body of a new task of a type, with the schema of its content."""
    title = "".join(part.capitalize() for part in task_type.name.split("_"))
    field = type(f"{title}ContentField", (ContentField,), {"__doc__": ContentField.__doc__})
    members: dict[str, Any] = {
        "__doc__": f"Body of a new task of the type `{task_type.name}`.",
        "__module__": __name__,
        "content": extend_schema_field(task_type.Content)(field)(),
    }
    return type(f"{title}TaskBody", (TaskBody,), members)


class TaskCreatedJson(TypedDict):
    """A new task."""

    task_id: int
    url: str
    external_url: str


class TaskJson(TypedDict):
    """A task. `content` has a mask instead of each secret."""

    task_id: int
    task_type: int
    task_status: Annotated[int, OneOf(tuple(TaskStatus.values))]
    account_id: IdJson | None
    schedule_id: int | None
    description: str
    content: Json
    create_time: TimeJson
    last_update_time: TimeJson
    end_time: TimeJson | None
    result_id: IdJson | None
    count_task_parts_done: int
    count_task_parts_all: int
    notification_policy: Annotated[Json, TaskNotificationSerializer] | None


class TasksJson(TypedDict):
    tasks: list[TaskJson]


class SubtaskJson(TypedDict):
    """A part of a task. `content`: the part, as the type of the task defined it."""

    subtask_id: int
    task_id: int
    subtask_status: Annotated[int, OneOf(tuple(TaskStatus.values))]
    content: Json
    create_time: TimeJson
    end_time: TimeJson | None
    result_id: IdJson | None


class SubtasksJson(TypedDict):
    subtasks: list[SubtaskJson]


class TaskErrorsJson(TypedDict):
    errors: Annotated[list[TaskErrorJson], Example([ERROR])]


class PolicyBody(StrictSerializer):
    """Body of a notification policy; null removes it."""

    notification_policy = NotificationPolicyField(allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        """Accept the policy itself, too: the body of older clients."""
        if isinstance(data, dict) and "notification_policy" not in data:
            data = {"notification_policy": data}
        return super().to_internal_value(data)


class PolicyJson(TypedDict):
    """A notification policy, with a mask instead of each secret; null without one."""

    notification_policy: Annotated[Json, TaskNotificationSerializer] | None


class TasksQuery(TaskFilterSerializer, PageQuery):
    """Filters and paging of tasks."""


class ErrorsQuery(ErrorFilterSerializer, PageQuery):
    """Filters and paging of errors of tasks."""


class PartsQuery(PageQuery):
    """Paging of the subtasks or the errors of a task."""

    account_id = account_field()


class TaskAccountQuery(serializers.Serializer[Any]):
    account_id = account_field()
