"""Views of /6/tasks/schedules."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, read_scope, write_account
from apps.accounts.selectors import account_get
from apps.common import errors
from apps.common.api.responses import created
from apps.common.errors import LunaError
from apps.common.paging import Page
from apps.common.times import format_time
from apps.common.validation import checked_body, checked_query, paths_within
from apps.tasks.api.schedule_serializers import (
    START,
    ScheduleAction,
    ScheduleBody,
    ScheduleCreatedJson,
    ScheduleJson,
    SchedulesJson,
    SchedulesQuery,
)
from apps.tasks.api.serializers import TaskAccountQuery
from apps.tasks.api.views import NOTHING, TaskBaseView, path_number
from apps.tasks.choices import CronZone
from apps.tasks.models import Schedule
from apps.tasks.notifications import policy_mask
from apps.tasks.schedules import selectors, services
from apps.tasks.secrets import content_mask
from apps.tasks.types.registry import task_types


def path_schedule_id(text: str) -> int:
    """Parse the id of a schedule in a path. Raises LunaError SCHEDULE_NOT_FOUND if it is not a whole number."""
    return path_number(text, errors.SCHEDULE_NOT_FOUND)


def schedule_body(schedule: Schedule) -> ScheduleJson:
    return {
        "schedule_id": schedule.schedule_id,
        "account_id": None if schedule.account_id is None else str(schedule.account_id),
        "status": schedule.status,
        "trigger": schedule.trigger,
        "trigger_timezone": schedule.trigger_timezone,
        "time_zone": schedule.time_zone,
        "next_run_at": format_time(schedule.next_run_at),
        "task_type": schedule.task_type,
        "content": content_mask(task_types().get(schedule.task_type), schedule.content),
        "description": schedule.description,
        "result_storage_policy": {} if schedule.result_ttl_days is None else {"ttl": schedule.result_ttl_days},
        "notification_policy": policy_mask(schedule.notification_policy),
        "create_time": format_time(schedule.create_time),
        "last_update_time": format_time(schedule.last_update_time),
    }


def _owner_and_draft(request: Request, view: TaskBaseView) -> tuple[UUID | None, services.ScheduleDraft]:
    """Return the account and the draft in a body.

    Raises LunaError ACCESS_DENIED for a type that operators alone schedule, and the errors of `view.owner`.
    """
    body: Any = checked_body(ScheduleBody, request)
    task, trigger, behaviour = body["task"], body["trigger"], body.get("behaviour", {})
    kind = task["task_type"]
    if kind.operators_only and not view.by_operator:
        raise LunaError(errors.ACCESS_DENIED)
    owner = view.owner(request, task)
    return owner, services.ScheduleDraft(
        task_type=kind,
        content=task["content"],
        trigger=trigger["cron"],
        trigger_timezone=trigger.get("cron_timezone", CronZone.UTC),
        time_zone=account_get(owner or write_account(request)).time_zone,
        description=task["description"],
        result_ttl_days=task.get("result_storage_policy", {}).get("ttl"),
        notification_policy=task.get("notification_policy"),
        start_immediately=behaviour.get("start_immediately", False),
        stopped=behaviour.get("create_stopped"),
    )


class SchedulesView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view"), "POST": ("task", "creation")}

    @extend_schema(summary="create tasks schedule", request=ScheduleBody, responses={201: ScheduleCreatedJson})
    def post(self, request: Request) -> Response:
        owner, draft = _owner_and_draft(request, self)
        with paths_within("task"):
            schedule = services.schedule_create(account_id=owner, draft=draft, actor=actor_of(request))
        return created("schedule_id", schedule.schedule_id, self.address_of("schedule", schedule.schedule_id))

    @extend_schema(summary="get tasks schedules", parameters=[SchedulesQuery], responses={200: SchedulesJson})
    def get(self, request: Request) -> Response:
        query = checked_query(SchedulesQuery, request)
        page = Page(query["page"], query["page_size"])
        found = selectors.schedules_page(scope=read_scope(request), filters=query["filters"], page=page)
        return Response({"schedules": [schedule_body(each) for each in found]})


class ScheduleView(TaskBaseView):
    permissions: ClassVar = {
        "GET": ("task", "view"),
        "PUT": ("task", "modification"),
        "PATCH": ("task", "modification"),
        "DELETE": ("task", "deletion"),
    }

    @extend_schema(summary="get tasks schedule", parameters=[TaskAccountQuery], responses={200: ScheduleJson})
    def get(self, request: Request, schedule_id: str) -> Response:
        key = path_schedule_id(schedule_id)
        return Response(schedule_body(selectors.schedule_get(scope=read_scope(request), schedule_id=key)))

    @extend_schema(summary="replace tasks schedule", request=ScheduleBody, responses={204: NOTHING})
    def put(self, request: Request, schedule_id: str) -> Response:
        key = path_schedule_id(schedule_id)
        scope = self.changed_scope(request)
        selectors.schedule_get(scope=scope, schedule_id=key)  # an unknown one, whatever the body is
        _, draft = _owner_and_draft(request, self)
        with paths_within("task"):
            services.schedule_replace(scope=scope, schedule_id=key, draft=draft, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="patch tasks schedule", request=ScheduleAction, responses={204: NOTHING})
    def patch(self, request: Request, schedule_id: str) -> Response:
        key = path_schedule_id(schedule_id)
        action = checked_body(ScheduleAction, request)["action"]
        switch = services.schedule_start if action == START else services.schedule_stop
        switch(scope=self.changed_scope(request), schedule_id=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="delete tasks schedule", request=None, responses={204: NOTHING})
    def delete(self, request: Request, schedule_id: str) -> Response:
        key = path_schedule_id(schedule_id)
        services.schedule_delete(scope=self.changed_scope(request), schedule_id=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
