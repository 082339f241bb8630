"""Page of schedules."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display

from apps.accounts.adminbase import DeletingAdmin
from apps.accounts.adminbase.display import NOTHING, Labels, json_text, rows_of
from apps.accounts.adminbase.filters import readable
from apps.accounts.adminbase.posting import post_button, posted
from apps.accounts.auth.access import actor_of
from apps.accounts.selectors import account_get
from apps.common.parts import TASKS
from apps.common.scope import Scope
from apps.tasks.admin.forms import EditScheduleForm, NewScheduleForm, fields_of, type_filter, type_name
from apps.tasks.admin.gc import SCHEDULE_FORMS
from apps.tasks.choices import CronZone, ScheduleStatus
from apps.tasks.models import Schedule
from apps.tasks.notifications import policy_mask
from apps.tasks.schedules.services import (
    ScheduleDraft,
    schedule_create,
    schedule_delete,
    schedule_replace,
    schedule_start,
    schedule_stop,
)
from apps.tasks.types.registry import task_types

WHOLE = Scope(None)


def may_switch(user: Any) -> bool:
    """Return whether a user may start and pause schedules."""
    return bool(user.has_perm("tasks.change_schedule"))


@admin.register(Schedule)
class ScheduleAdmin(DeletingAdmin):
    """Schedules of all accounts. New ones may belong to one account or to all."""

    parts = (TASKS,)
    may_add = may_change = True

    form = NewScheduleForm
    list_display = (
        "name",
        "type_words",
        "account",
        "trigger",
        "time_zone",
        "state",
        "next_run_at",
        "history",
        "controls",
    )
    list_select_related = ("account",)
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("task_type", type_filter()),
        ("status", ChoicesDropdownFilter),
        ("create_time", RangeDateTimeFilter),
    )
    search_fields = ("=schedule_id", "description", "trigger")
    id_search_fields = ("account_id",)
    search_help_text = _("Schedule id, a part of description or cron expression; account id")
    ordering = ("-schedule_id",)
    shown = ("schedule_id", "account", "state", "controls", "time_zone", "next_run_at", "history", "policy_text",
             "create_time", "last_update_time")  # fmt: skip
    actions = ("start", "stop")
    actions_list = ("new_gc", "new_extraction")
    actions_row = ("delete_row",)

    def form_of(self, request: HttpRequest, obj: Schedule | None) -> type[NewScheduleForm]:
        """Return the form of a page."""
        if obj is not None:
            return EditScheduleForm
        return SCHEDULE_FORMS.get(request.GET.get("type", ""), NewScheduleForm)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, **{"form": self.form_of(request, obj), **kwargs})

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        editable = (None, {"fields": fields_of(self.form_of(request, obj))})
        return (editable,) if obj is None else (editable, (_("Record"), {"fields": self.shown}))

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> Any:
        return () if obj is None else self.shown

    @display(description=_("schedule"), header=True, ordering="schedule_id")
    def name(self, schedule: Schedule) -> list[str]:
        return [str(schedule.schedule_id), schedule.description or "—"]

    @display(description=_("type"), ordering="task_type")
    def type_words(self, schedule: Schedule) -> str:
        return type_name(schedule.task_type)

    @display(description=_("status"), ordering="status", label=Labels({"started": "success", "stopped": "warning"}))
    def state(self, schedule: Schedule) -> str:
        return readable(ScheduleStatus(schedule.status).name.lower())

    @display(description=_("controls"))
    def controls(self, schedule: Any) -> SafeString:
        """Render a button that starts or pauses the schedule, for users with the permission."""
        if not may_switch(schedule.viewer):
            return NOTHING
        started = schedule.status == ScheduleStatus.STARTED
        route = "admin:tasks_schedule_pause" if started else "admin:tasks_schedule_start"
        return post_button(reverse(route, args=(schedule.pk,)), _("Pause") if started else _("Start"))

    @display(description=_("tasks"))
    def history(self, schedule: Schedule) -> SafeString:
        return rows_of("tasks_task", "q", schedule.schedule_id, _("tasks"))

    @display(description=_("notifications"))
    def policy_text(self, schedule: Schedule) -> SafeString:
        return json_text(policy_mask(schedule.notification_policy))

    def save_model(self, request: HttpRequest, obj: Schedule, form: "ModelForm[Schedule]", change: bool) -> None:
        values = form.cleaned_data
        account_id = obj.account_id if change else values["account_id"]
        owner: Any = account_id or request.user.pk
        draft = ScheduleDraft(
            task_type=task_types()[values["task_type"]],
            content=values["content"],
            trigger=values["trigger"],
            trigger_timezone=CronZone(values["trigger_timezone"]),
            time_zone=account_get(owner).time_zone,
            description=values["description"],
            result_ttl_days=values.get("result_ttl_days"),
            notification_policy=policy_mask(obj.notification_policy) if change else None,
            start_immediately=values["start_immediately"],
            stopped=values.get("create_stopped"),
        )
        if change:
            schedule_replace(scope=WHOLE, schedule_id=obj.pk, draft=draft, actor=actor_of(request))
        else:
            obj.pk = schedule_create(account_id=account_id, draft=draft, actor=actor_of(request)).pk

    def get_urls(self) -> list[URLPattern]:
        views = (("start", schedule_start), ("pause", schedule_stop))
        own = [
            path(
                f"<int:schedule_id>/{name}/",
                self.admin_site.admin_view(partial(self.switch_view, switch=switch)),
                name=f"tasks_schedule_{name}",
            )
            for name, switch in views
        ]
        return [*own, *super().get_urls()]

    def switch_view(self, request: HttpRequest, schedule_id: int, switch: Callable[..., None]) -> HttpResponse:
        """Start or pause a schedule. Requires POST and the permission to change schedules."""
        return posted(
            request,
            allowed=self.has_switch_permission(request),
            act=lambda: switch(scope=WHOLE, schedule_id=schedule_id, actor=actor_of(request)),
            done=_("The schedule is started.") if switch is schedule_start else _("The schedule is paused."),
            back="admin:tasks_schedule_changelist",
        )

    @action(description=_("New garbage collection"), url_path="new-gc", permissions=("add",))
    def new_gc(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:tasks_schedule_add')}?type=gc")

    @action(description=_("New additional extraction"), url_path="new-extraction", permissions=("add",))
    def new_extraction(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:tasks_schedule_add')}?type=additional_extract")

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return may_switch(request.user)

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:
        for schedule in rows:
            schedule.viewer = request.user

    @action(description=_("Start selected schedules"), permissions=("switch",))
    def start(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        for schedule_id in queryset.values_list("schedule_id", flat=True):
            schedule_start(scope=WHOLE, schedule_id=schedule_id, actor=actor_of(request))
        messages.success(request, _("The selected schedules are started."))

    @action(description=_("Stop selected schedules"), permissions=("switch",))
    def stop(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        for schedule_id in queryset.values_list("schedule_id", flat=True):
            schedule_stop(scope=WHOLE, schedule_id=schedule_id, actor=actor_of(request))
        messages.success(request, _("The selected schedules are stopped."))

    def delete_rows(self, request: HttpRequest, rows: list[Schedule]) -> None:
        for row in rows:
            schedule_delete(scope=WHOLE, schedule_id=row.schedule_id, actor=actor_of(request))
