"""Bodies, queries and responses of schedules."""

from typing import Annotated, Any, TypedDict

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.json_types import IdJson, Json, OneOf, TimeJson
from apps.common.paging import PageQuery
from apps.common.validation import StrictSerializer
from apps.tasks.api.serializers import ResultStoragePolicySerializer, TaskBody
from apps.tasks.choices import CronZone, ScheduleStatus
from apps.tasks.notifications import TaskNotificationSerializer
from apps.tasks.schedules.cron import MAX_CHARACTERS, trigger_problem
from apps.tasks.terms import ScheduleFilterSerializer
from apps.tasks.types.base import TaskType
from apps.tasks.types.registry import task_type_named, task_types

START, STOP = "start", "stop"


@extend_schema_field(OpenApiTypes.STR)
class InstalledTypeField(serializers.Field[TaskType, Any, Any, Any]):
    """The name or the number of an installed type of tasks."""

    def to_internal_value(self, data: Any) -> TaskType:
        text = "" if isinstance(data, bool) else str(data)
        found = task_type_named(text) or next(
            (each for each in task_types().values() if str(each.number) == text), None
        )
        if found is None:
            known = ", ".join(
                sorted(each.name for each in task_types().values() if each.schedulable and not each.operators_only)
            )
            raise serializers.ValidationError(f"There is no such type of tasks. Types with schedules: {known}.")
        return found


class CronField(serializers.CharField):
    """A cron expression with five fields."""

    def to_internal_value(self, data: Any) -> str:
        text: str = super().to_internal_value(data)
        if problem := trigger_problem(text):
            raise serializers.ValidationError(problem)
        return text


class CronZoneField(serializers.ChoiceField):
    """`utc` or `local`, the time zone of the account, in any case."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[each.value.lower() for each in CronZone], **kwargs)

    def to_internal_value(self, data: Any) -> CronZone:
        lower: str = super().to_internal_value(data.lower() if isinstance(data, str) else data)
        return CronZone(lower.upper())


class ScheduledTaskSerializer(TaskBody):
    """The tasks that a schedule creates: a type, and the body of a new task."""

    task_type = InstalledTypeField()


class TriggerSerializer(StrictSerializer):
    """Times of runs. Where day of month and day of week are both restricted, both must hold."""

    cron = CronField(
        max_length=MAX_CHARACTERS, help_text="Minute, hour, day of month, month and day of week (0 is Sunday)."
    )
    cron_timezone = CronZoneField(required=False, help_text="`utc` (default) or `local`.")


class BehaviourSerializer(StrictSerializer):
    start_immediately = serializers.BooleanField(
        required=False, help_text="Whether the first task is created at once. Not for a schedule that is stopped."
    )
    create_stopped = serializers.BooleanField(
        required=False, help_text="Whether the schedule is stopped. Default: started; a replaced one keeps its status."
    )


class ScheduleBody(StrictSerializer):
    """Body of a schedule."""

    example = {
        "task": {
            "task_type": "clustering",
            "content": {"objects_type": "events", "filters": {"create_time__gte": "now-1d"}},
            "description": "people of the last day",
        },
        "trigger": {"cron": "0 3 * * *", "cron_timezone": "utc"},
        "behaviour": {"start_immediately": False, "create_stopped": False},
    }
    task = ScheduledTaskSerializer()
    trigger = TriggerSerializer()
    behaviour = BehaviourSerializer(required=False)


class ScheduleAction(StrictSerializer):
    """Body that starts or stops a schedule."""

    action = serializers.ChoiceField(choices=(START, STOP))


class SchedulesQuery(ScheduleFilterSerializer, PageQuery):
    """Filters and paging of schedules."""


class ScheduleCreatedJson(TypedDict):
    """A new schedule."""

    schedule_id: int
    url: str
    external_url: str


class ScheduleJson(TypedDict):
    """A schedule. `content` and `notification_policy` have a mask instead of each secret.

    `time_zone`: the zone of `trigger`. `next_run_at`: null while the schedule is stopped.
    """

    schedule_id: int
    account_id: IdJson | None
    status: Annotated[int, OneOf(tuple(ScheduleStatus.values))]
    trigger: str
    trigger_timezone: Annotated[str, OneOf(tuple(CronZone.values))]
    time_zone: str
    next_run_at: TimeJson | None
    task_type: int
    content: Json
    description: str
    result_storage_policy: Annotated[Json, ResultStoragePolicySerializer]
    notification_policy: Annotated[Json, TaskNotificationSerializer] | None
    create_time: TimeJson
    last_update_time: TimeJson


class SchedulesJson(TypedDict):
    schedules: list[ScheduleJson]
