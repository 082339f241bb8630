"""Pages of tasks and their errors."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import cache_control
from rest_framework.request import Request
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display

from apps.accounts.adminbase import DeletingAdmin
from apps.accounts.adminbase.display import NOTHING, json_text, may_view, number_text, rows_of
from apps.accounts.adminbase.filters import readable
from apps.accounts.adminbase.posting import post_button, posted
from apps.accounts.auth.access import actor_of
from apps.common.errors import LunaError
from apps.common.parts import TASKS
from apps.common.refusals import desc_text, detail_text, refusal_text
from apps.common.scope import Scope
from apps.imagestore.api.content import content_response
from apps.tasks.admin.forms import NewTaskForm, fields_of, type_filter, type_name
from apps.tasks.admin.gc import TASK_FORMS
from apps.tasks.api.views import result_headers
from apps.tasks.choices import UNFINISHED, TaskStatus
from apps.tasks.models import Subtask, Task, TaskError
from apps.tasks.notifications import policy_mask
from apps.tasks.secrets import content_mask
from apps.tasks.services import TaskDraft, task_cancel, task_create, task_delete, task_error_delete, task_result_view
from apps.tasks.types.registry import task_types

WHOLE = Scope(None)
MAX_SUBTASKS = 50
WORSE = frozenset({TaskStatus.CANCELLED, TaskStatus.FAILED})
PANELS: dict[int, Callable[[Task], SafeString]] = {}
"""What the page of a task of a type shows of its result, by the type's number."""


def status_shown(task: Task, *, may_stop: bool = False) -> SafeString:
    """Render status and progress, with a button that stops an unfinished task. The page's script refreshes them."""
    done, total = task.count_task_parts_done, task.count_task_parts_all
    live = task.task_status in UNFINISHED
    data = format_html(' data-task="{}" data-url="{}"', task.pk, reverse("admin:tasks_progress"))
    bar = format_html('<progress class="luna-progress" value="{}" max="{}"></progress> ', done, total)
    return format_html(
        '<span class="luna-status"{} data-parts="{}"><span class="luna-tag{}">{}</span> {}'
        '<span class="luna-parts">{}</span> {}</span>',
        data if live else "",
        f"{done} {total}",
        " luna-bad" if task.task_status in WORSE else "",
        readable(TaskStatus(task.task_status).name.lower()),
        bar if live and total else "",
        parts_text(done, total) if total else "",
        post_button(reverse("admin:tasks_stop", args=(task.pk,)), _("Stop")) if live and may_stop else "",
    )


def parts_text(done: int, total: int) -> str:
    """Return the progress as words."""
    return _("%(done)s of %(total)s") % {"done": number_text(done), "total": number_text(total)}


def may_stop(user: Any) -> bool:
    """Return whether a user may cancel tasks."""
    return bool(user.has_perm("tasks.change_task"))


@admin.register(Task)
class TaskAdmin(DeletingAdmin):
    """Tasks of all accounts with their progress. New ones may belong to one account or to all."""

    parts = (TASKS,)
    may_add = True

    form = NewTaskForm
    list_display = ("name", "type_words", "account", "status", "parts_done", "parts_all", "errors_found", "create_time",
                    "updated", "end_time")  # fmt: skip
    list_select_related = ("account",)
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("task_type", type_filter()),
        ("task_status", ChoicesDropdownFilter),
        ("create_time", RangeDateTimeFilter),
        ("end_time", RangeDateTimeFilter),
    )
    search_fields = ("=task_id", "description", "=schedule_id")
    id_search_fields = ("account_id", "result_id")
    search_help_text = _("Task id, schedule id or a part of the description; account id or result id")
    date_hierarchy = "create_time"
    ordering = ("-task_id",)
    shown = ("task_id", "account", "type_words", "description", "status", "result", "errors_found", "schedule",
             "content_text", "policy_text", "subtasks_table", "create_time", "last_update_time",
             "end_time")  # fmt: skip
    actions = ("cancel",)
    actions_list = ("new_gc", "new_extraction")
    actions_row = ("delete_row",)

    class Media:
        js = ("luna/tasks.js",)

    def form_of(self, request: HttpRequest) -> type[NewTaskForm]:
        """Return the form of a new task."""
        return TASK_FORMS.get(request.GET.get("type", ""), NewTaskForm)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, **{"form": self.form_of(request), **kwargs})

    def get_fields(self, request: HttpRequest, obj: Task | None = None) -> Any:
        if obj is None:
            return fields_of(self.form_of(request))
        return self.shown + (("panel",) if obj.task_type in PANELS else ())

    def get_readonly_fields(self, request: HttpRequest, obj: Task | None = None) -> Any:
        return () if obj is None else self.get_fields(request, obj)

    @display(description=_("task"), header=True, ordering="task_id")
    def name(self, task: Task) -> list[str]:
        return [str(task.task_id), task.description or "—"]

    @display(description=_("type"), ordering="task_type")
    def type_words(self, task: Task) -> str:
        return type_name(task.task_type)

    @display(description=_("status"), ordering="task_status")
    def status(self, task: Any) -> SafeString:
        return format_html("{} {}", status_shown(task, may_stop=may_stop(task.viewer)), self.download(task))

    @display(description=_("parts done"), ordering="count_task_parts_done")
    def parts_done(self, task: Task) -> SafeString:
        return format_html('<span data-parts-done="{}">{}</span>', task.pk, task.count_task_parts_done)

    @display(description=_("parts"), ordering="count_task_parts_all")
    def parts_all(self, task: Task) -> SafeString:
        return format_html('<span data-parts-all="{}">{}</span>', task.pk, task.count_task_parts_all)

    @display(description=_("updated"), ordering="last_update_time")
    def updated(self, task: Task) -> datetime:
        return task.last_update_time

    @display(description=_("errors"))
    def errors_found(self, task: Task) -> SafeString:
        if not task.count_errors:
            return NOTHING
        return rows_of("tasks_taskerror", "task__task_id__exact", task.task_id, number_text(task.count_errors))

    @display(description=_("result"))
    def result(self, task: Task) -> SafeString:
        return self.download(task) or NOTHING

    @staticmethod
    def download(task: Task) -> SafeString:
        """Render a link to the result; empty without one."""
        if task.result_id is None:
            return SafeString()
        url = reverse("admin:tasks_result", args=(task.pk,))
        return format_html('<a href="{}" class="luna-link" download>{}</a>', url, _("Download"))

    @display(description=_("schedule"))
    def schedule(self, task: Task) -> SafeString:
        if task.schedule_id is None:
            return NOTHING
        return rows_of("tasks_schedule", "q", task.schedule_id, task.schedule_id)

    @display(description=_("content"))
    def content_text(self, task: Task) -> SafeString:
        return json_text(content_mask(task_types().get(task.task_type), task.content))

    @display(description=_("notifications"))
    def policy_text(self, task: Task) -> SafeString:
        return json_text(policy_mask(task.notification_policy))

    @display(description=_("subtasks"))
    def subtasks_table(self, task: Task) -> SafeString:
        rows = list(Subtask.objects.filter(task=task).defer("state", "blob").order_by("pk")[: MAX_SUBTASKS + 1])
        if not rows:
            return NOTHING
        lines = format_html_join(
            "",
            "<tr><th>{}</th><td>{}</td><td>{}</td></tr>",
            (
                (
                    each.pk,
                    readable(TaskStatus(each.subtask_status).name.lower()),
                    parts_text(each.parts_done, each.parts_all),
                )
                for each in rows[:MAX_SUBTASKS]
            ),
        )
        more = SafeString()
        if len(rows) > MAX_SUBTASKS:
            more = format_html("<p>{}</p>", _("The first %(count)d subtasks.") % {"count": MAX_SUBTASKS})
        return format_html('<table class="luna-facts">{}</table>{}', lines, more)

    @display(description=_("picture of the result"))
    def panel(self, task: Task) -> SafeString:
        return PANELS[task.task_type](task) if task.task_status == TaskStatus.DONE else NOTHING

    def save_model(self, request: HttpRequest, obj: Task, form: "ModelForm[Task]", change: bool) -> None:
        values = form.cleaned_data
        draft = TaskDraft(
            content=values["content"], description=values["description"], result_ttl_days=values["result_ttl_days"]
        )
        created = task_create(
            task_type=task_types()[values["task_type"]],
            account_id=values["account_id"],
            draft=draft,
            actor=actor_of(request),
        )
        obj.pk = created.pk

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:
        for task in rows:
            task.viewer = request.user

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return may_stop(request.user)

    @action(description=_("Start garbage collection"), url_path="new-gc", permissions=("add",))
    def new_gc(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:tasks_task_add')}?type=gc")

    @action(description=_("Start additional extraction"), url_path="new-extraction", permissions=("add",))
    def new_extraction(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(f"{reverse('admin:tasks_task_add')}?type=additional_extract")

    @action(description=_("Cancel selected tasks"), permissions=("cancel",))
    def cancel(self, request: HttpRequest, queryset: QuerySet[Task]) -> None:
        cancelled = 0
        for task_id in queryset.values_list("task_id", flat=True):
            try:
                task_cancel(scope=WHOLE, task_id=task_id)
            except LunaError as error:
                messages.warning(request, refusal_text(error))
            else:
                cancelled += 1
        messages.success(request, _("%(count)d tasks are cancelled.") % {"count": cancelled})

    def delete_rows(self, request: HttpRequest, rows: list[Task]) -> None:
        for task in rows:
            task_delete(scope=WHOLE, task_id=task.task_id, actor=actor_of(request))

    def get_urls(self) -> list[URLPattern]:
        views = (
            ("progress/", self.progress_view, "tasks_progress"),
            ("<int:task_id>/result/", self.result_view, "tasks_result"),
            ("<int:task_id>/stop/", self.stop_view, "tasks_stop"),
        )
        own = [path(route, self.admin_site.admin_view(view), name=name) for route, view, name in views]
        return [*own, *super().get_urls()]

    @staticmethod
    @cache_control(no_store=True)
    def progress_view(request: HttpRequest) -> HttpResponse:
        """Answer with the progress of tasks as HTML by id. Requires the permission to view tasks."""
        if not may_view(request.user, Task):
            raise PermissionDenied
        texts = request.GET.get("ids", "").split(",")
        ids = [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19]
        tasks = Task.objects.unscoped().filter(task_id__in=ids[:100])
        stops = may_stop(request.user)
        return JsonResponse({str(task.pk): status_shown(task, may_stop=stops) for task in tasks})

    @staticmethod
    def stop_view(request: HttpRequest, task_id: int) -> HttpResponse:
        """Cancel a task. Requires POST and the permission to change tasks."""
        return posted(
            request,
            allowed=may_stop(request.user),
            act=lambda: task_cancel(scope=WHOLE, task_id=task_id),
            done=_("The task is cancelled."),
            back="admin:tasks_task_changelist",
        )

    @staticmethod
    def result_view(request: HttpRequest, task_id: int) -> HttpResponseBase:
        """Answer with the result of a task. Requires the permission to view tasks, and leaves an audit line."""
        if not may_view(request.user, Task):
            raise PermissionDenied
        try:
            stored = task_result_view(scope=WHOLE, task_id=task_id, actor=actor_of(request))
        except LunaError as error:
            raise Http404(refusal_text(error)) from error
        return content_response(Request(request), stored, result_headers(stored, f"task_{task_id}"))


@admin.register(TaskError)
class TaskErrorAdmin(DeletingAdmin):
    """Errors of tasks, mostly of single objects."""

    parts = (TASKS,)
    list_display = ("error_id", "task", "error_code", "problem", "additional_info", "error_time")
    list_filter = (("error_time", RangeDateTimeFilter),)
    search_fields = ("=task__task_id", "=error_code", "additional_info")
    search_help_text = _("Task id, code, or a part of the additional information")
    ordering = ("-error_id",)
    fields = ("error_id", "task", "subtask", "error_code", "kind", "problem", "additional_info", "error_time")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the filter by task that the page of a task links to."""
        return lookup == "task__task_id__exact" or super().lookup_allowed(lookup, value, request)

    @display(description=_("description"))
    def kind(self, error: TaskError) -> str:
        return desc_text(error.error_code, error.description)

    @display(description=_("detail"))
    def problem(self, error: TaskError) -> str:
        return detail_text(error.error_code, error.detail)

    def delete_rows(self, request: HttpRequest, rows: list[TaskError]) -> None:
        for row in rows:
            task_error_delete(scope=WHOLE, error_id=row.error_id, actor=actor_of(request))
