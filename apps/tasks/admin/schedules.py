"""Page of schedules."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display

from apps.accounts.adminbase import DeletingAdmin
from apps.accounts.adminbase.display import json_text, rows_of
from apps.accounts.auth.access import actor_of
from apps.accounts.selectors import account_get
from apps.common.parts import TASKS
from apps.common.scope import Scope
from apps.tasks.admin.forms import NewScheduleForm, type_filter, type_name
from apps.tasks.choices import CronZone, ScheduleStatus
from apps.tasks.models import Schedule
from apps.tasks.notifications import policy_mask
from apps.tasks.schedules.services import (
    ScheduleDraft,
    schedule_create,
    schedule_delete,
    schedule_start,
    schedule_stop,
)
from apps.tasks.secrets import content_mask
from apps.tasks.types.registry import task_types

WHOLE = Scope(None)


@admin.register(Schedule)
class ScheduleAdmin(DeletingAdmin):
    """Schedules of all accounts. New ones may belong to one account or to all; the API replaces schedules."""

    parts = (TASKS,)
    may_add = True

    form = NewScheduleForm
    list_display = ("name", "account", "trigger", "time_zone", "state", "next_run_at", "history")
    list_select_related = ("account",)
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("task_type", type_filter()),
        ("status", ChoicesDropdownFilter),
        ("create_time", RangeDateTimeFilter),
    )
    search_fields = ("=schedule_id", "description", "trigger")
    id_search_fields = ("account_id",)
    search_help_text = "Schedule id, a part of description or cron expression; account id"
    ordering = ("-schedule_id",)
    shown = ("schedule_id", "account", "type_words", "description", "trigger", "trigger_timezone", "time_zone",
             "state", "next_run_at", "history", "content_text", "policy_text", "result_ttl_days", "create_time",
             "last_update_time")  # fmt: skip
    actions = ("start", "stop")

    def get_fields(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        return NewScheduleForm.Meta.fields if obj is None else self.shown

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        return () if obj is None else self.shown

    @display(description="schedule", header=True, ordering="schedule_id")
    def name(self, schedule: Schedule) -> list[str]:
        return [f"{schedule.schedule_id} · {type_name(schedule.task_type)}", schedule.description or "—"]

    @display(description="type")
    def type_words(self, schedule: Schedule) -> str:
        return type_name(schedule.task_type)

    @display(description="status", ordering="status", label={"Started": "success", "Stopped": "warning"})
    def state(self, schedule: Schedule) -> str:
        return str(ScheduleStatus(schedule.status).label)

    @display(description="tasks")
    def history(self, schedule: Schedule) -> SafeString:
        return rows_of("tasks_task", "q", schedule.schedule_id, "tasks")

    @display(description="content")
    def content_text(self, schedule: Schedule) -> SafeString:
        return json_text(content_mask(task_types().get(schedule.task_type), schedule.content))

    @display(description="notifications")
    def policy_text(self, schedule: Schedule) -> SafeString:
        return json_text(policy_mask(schedule.notification_policy))

    def save_model(self, request: HttpRequest, obj: Schedule, form: "ModelForm[Schedule]", change: bool) -> None:
        values = form.cleaned_data
        owner: Any = values["account_id"] or request.user.pk
        draft = ScheduleDraft(
            task_type=task_types()[values["task_type"]],
            content=values["content"],
            trigger=values["trigger"],
            trigger_timezone=CronZone(values["trigger_timezone"]),
            time_zone=account_get(owner).time_zone,
            description=values["description"],
            result_ttl_days=values["result_ttl_days"],
            start_immediately=values["start_immediately"],
            stopped=values["create_stopped"],
        )
        obj.pk = schedule_create(account_id=values["account_id"], draft=draft, actor=actor_of(request)).pk

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("tasks.change_schedule"))

    @action(description="Start selected schedules", permissions=("switch",))
    def start(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        for schedule_id in queryset.values_list("schedule_id", flat=True):
            schedule_start(scope=WHOLE, schedule_id=schedule_id, actor=actor_of(request))
        messages.success(request, "The selected schedules are started.")

    @action(description="Stop selected schedules", permissions=("switch",))
    def stop(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        for schedule_id in queryset.values_list("schedule_id", flat=True):
            schedule_stop(scope=WHOLE, schedule_id=schedule_id, actor=actor_of(request))
        messages.success(request, "The selected schedules are stopped.")

    def delete_rows(self, request: HttpRequest, rows: list[Schedule]) -> None:
        for row in rows:
            schedule_delete(scope=WHOLE, schedule_id=row.schedule_id, actor=actor_of(request))
