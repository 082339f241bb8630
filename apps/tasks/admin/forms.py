"""Forms of new tasks and schedules. The services check contents; their refusals are shown at the form."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.accounts.adminbase.filters import by_words, readable, readable_lazy
from apps.accounts.models import Account
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.refusals import refusal_text
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.common.validation import PATH
from apps.imagestore.types import KEEP, TTL_DAYS
from apps.tasks.choices import CronZone, TaskKind
from apps.tasks.contents import content_check
from apps.tasks.models import Schedule, Task
from apps.tasks.schedules.cron import trigger_problem
from apps.tasks.secrets import content_mask, content_open, content_seal
from apps.tasks.types.base import TaskType
from apps.tasks.types.registry import task_types

TYPE_NAMES = {kind.value: kind.name.lower() for kind in TaskKind}


def type_name(number: int) -> str:
    """Return the name of a type of tasks."""
    kind = task_types().get(number)
    name = TYPE_NAMES.get(number) if kind is None else kind.name
    return readable(name) if name else _("type %(number)d") % {"number": number}


def type_filter() -> type[ChoicesDropdownFilter]:
    """Return a filter by the type of tasks."""
    return by_words({str(number): readable_lazy(name) for number, name in TYPE_NAMES.items()})


class NewTaskForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new task of an account, or of all accounts."""

    scheduled: ClassVar[bool] = False

    account_id = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget,
        label=_("Account"),
        help_text=_("Login or id. Empty: a task of all accounts."),
    )
    task_type = forms.TypedChoiceField(coerce=int, widget=UnfoldAdminSelectWidget, label=_("Type"))
    content = forms.JSONField(
        widget=UnfoldAdminTextareaWidget, initial=dict, label=_("Content"), help_text=_("JSON, as in the API.")
    )
    description = forms.CharField(
        required=False, max_length=128, widget=UnfoldAdminTextInputWidget, label=_("Description")
    )
    result_ttl_days = forms.TypedChoiceField(
        coerce=int,
        empty_value=None,
        required=False,
        widget=UnfoldAdminSelectWidget,
        label=_("Days until the result is removed"),
        choices=[("", _("as the bucket")), (KEEP, _("never")), *((days, days) for days in TTL_DAYS)],
    )

    class Meta:
        model = Task
        fields = ("account_id", "task_type", "content", "description", "result_ttl_days")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task_type" in self.fields:
            self.fields["task_type"].choices = [  # type: ignore[attr-defined]
                (each.number, type_name(each.number))
                for each in sorted(task_types().values(), key=lambda each: each.name)
                if each.schedulable or not self.scheduled
            ]

    def clean_account_id(self) -> UUID | None:
        text = self.cleaned_data["account_id"].strip()
        if not text:
            return None
        account_id = parse_uuid(text)
        wanted = Q(login__iexact=text) if account_id is None else Q(pk=account_id)
        account = Account.objects.filter(wanted, is_active=True).first()
        if account is None:
            raise forms.ValidationError(_("There is no active account with this login or id."))
        return account.pk

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors:
            kind = task_types()[values["task_type"]]
            scope = Scope(self.account_of(values))
            try:
                content = self.content_opened(kind, values["content"])
                content_check(kind, content, scope=scope, now=utc_now(), scheduled=self.scheduled)
            except LunaError as error:
                self.add_error(self._place(str(error.detail)), refusal_text(error))
        return values

    def _place(self, detail: str) -> str | None:
        """Return the field that an error names, None for the form."""
        path = PATH.search(detail)
        member = path[1].rpartition(".")[2] if path else ""
        named = {"create_time__lt": "before"}.get(member, member)
        return next((name for name in ("content", named) if name in self.fields), None)

    def account_of(self, values: Mapping[str, Any]) -> UUID | None:
        """Return the account of the task; None for a task of all accounts."""
        account_id: UUID | None = values["account_id"]
        return account_id

    def content_opened(self, kind: TaskType, content: Any) -> Any:
        """Return the content without masks."""
        return content

    def _post_clean(self) -> None:
        """Leave the row as it is: a service creates it."""


class NewScheduleForm(NewTaskForm):
    """A new schedule."""

    scheduled = True

    trigger = forms.CharField(
        max_length=128,
        widget=UnfoldAdminTextInputWidget,
        label=_("Cron expression"),
        help_text=_("Minute, hour, day of month, month and day of week (0 is Sunday). Both days must hold."),
    )
    trigger_timezone = forms.ChoiceField(
        choices=[(CronZone.UTC, "UTC"), (CronZone.LOCAL, _("that of the account"))],
        widget=UnfoldAdminSelectWidget,
        label=_("Time zone"),
    )
    start_immediately = forms.BooleanField(
        required=False, widget=UnfoldBooleanSwitchWidget, label=_("Start immediately")
    )
    create_stopped = forms.BooleanField(required=False, widget=UnfoldBooleanSwitchWidget, label=_("Create stopped"))

    class Meta:
        model = Schedule
        fields: tuple[str, ...] = (
            *NewTaskForm.Meta.fields,
            "trigger",
            "trigger_timezone",
            "start_immediately",
            "create_stopped",
        )

    def clean_trigger(self) -> str:
        text: str = self.cleaned_data["trigger"]
        if problem := trigger_problem(text):
            raise forms.ValidationError(problem)
        return text


class EditScheduleForm(NewScheduleForm):
    """A stored schedule, which keeps its account and status. Masks in its content keep the stored secrets."""

    account_id = create_stopped = None  # type: ignore[assignment]  # Django removes the inherited fields

    class Meta(NewScheduleForm.Meta):
        fields: tuple[str, ...] = (
            "task_type", "content", "description", "result_ttl_days", "trigger", "trigger_timezone",
            "start_immediately",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        stored: Schedule = kwargs["instance"]
        masked = content_mask(task_types().get(stored.task_type), stored.content)
        super().__init__(*args, **{**kwargs, "initial": {**kwargs.get("initial", {}), "content": masked}})

    def account_of(self, values: Mapping[str, Any]) -> UUID | None:
        account_id: UUID | None = self.instance.account_id
        return account_id

    def content_opened(self, kind: TaskType, content: Any) -> Any:
        stored = self.instance.content if self.instance.task_type == kind.number else None
        return content_open(kind, content_seal(kind, content, stored))


def fields_of(form: type[NewTaskForm]) -> tuple[str, ...]:
    """Return the names of the fields that a page shows, in their order."""
    names: tuple[str, ...] = getattr(form, "fields_shown", form.Meta.fields)
    return names
