"""Forms of garbage collection and additional extraction: fields instead of JSON, as LUNA PLATFORM's Admin has them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.accounts.adminbase.filters import readable
from apps.common.descriptors import versions
from apps.tasks.admin.forms import NewScheduleForm, NewTaskForm
from apps.tasks.choices import TaskKind

TARGETS = {
    "events": _("events"),
    "faces": _("faces"),
    "face_descriptors": _("descriptors of faces"),
    "event_descriptors": _("descriptors of events"),
    "descriptors": _("descriptors of faces and events"),
}
OBJECTS = {"faces": _("faces"), "events": _("events")}
EXTRACTIONS = {
    "face_descriptor": _("face descriptors"),
    "body_descriptor": _("body descriptors"),
    "basic_attributes": _("age, gender and ethnicity"),
}


def _choice(choices: Mapping[str, Any], label: Any, **options: Any) -> forms.ChoiceField:
    return forms.ChoiceField(choices=list(choices.items()), widget=UnfoldAdminSelectWidget, label=label, **options)


def _switch(label: Any, **options: Any) -> forms.BooleanField:
    return forms.BooleanField(required=False, widget=UnfoldBooleanSwitchWidget, label=label, **options)


class _WithoutContent:
    """The content and its type come from the other fields. The account is a filter of the content."""

    number: ClassVar[TaskKind]
    cleaned_data: dict[str, Any]
    errors: Any

    def content_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of valid values, JSON as clients send it."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        values = self.cleaned_data
        if not self.errors:
            account_id = values.get("account_id")
            content = self.content_of(values)
            if account_id is not None:
                content["filters"] = {**content.get("filters", {}), "account_id": str(account_id)}
            values |= {"task_type": self.number.value, "content": content, "account_id": None}
        cleaned: dict[str, Any] = super().clean()  # type: ignore[misc]  # of the form
        return cleaned


class GcFields(_WithoutContent, forms.Form):
    """What is deleted."""

    number = TaskKind.GC

    target = _choice(TARGETS, _("Delete"))
    before = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget,
        label=_("Data before"),
        help_text=_("A time such as 2026-11-01T00:00:00Z, or a relative one such as now-30d."),
    )
    remove_samples = _switch(_("Also delete samples"))
    remove_image_origins = _switch(_("Also delete source images"), help_text=_("Of events only."))
    store_results = _switch(_("Store the result"), initial=True)
    descriptor_version = forms.IntegerField(
        required=False,
        min_value=1,
        widget=UnfoldAdminIntegerFieldWidget,
        label=_("Descriptor version"),
        help_text=_("Of descriptors only."),
    )
    descriptor_type = _choice(
        {"": "—", "face": _("faces"), "body": _("bodies")},
        _("Descriptors of"),
        required=False,
        help_text=_("Required for descriptors of events."),
    )

    def content_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        content: dict[str, Any] = {"target": values["target"], "store_results": int(values["store_results"])}
        content |= {name: 1 for name in ("remove_samples", "remove_image_origins") if values[name]}
        if values["before"]:
            content["filters"] = {"create_time__lt": values["before"].strip()}
        if values["descriptor_version"]:
            content["options"] = {"descriptor_version": values["descriptor_version"]}
        if values["descriptor_type"]:
            content["descriptor_type"] = values["descriptor_type"]
        return content


class ExtractionFields(_WithoutContent, forms.Form):
    """What is extracted."""

    number = TaskKind.ADDITIONAL_EXTRACT

    objects_type = _choice(OBJECTS, _("Objects"))
    extraction_target = _choice(EXTRACTIONS, _("Extract"))
    descriptor_version = forms.TypedChoiceField(
        coerce=int, empty_value=None, required=False, widget=UnfoldAdminSelectWidget, label=_("Descriptor version")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = [(each.version, f"{each.version} · {readable(each.kind)} · {each.network}") for each in versions.all()]
        self.fields["descriptor_version"].choices = [("", "—"), *known]  # type: ignore[attr-defined]

    def content_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        content: dict[str, Any] = {
            "extraction_target": values["extraction_target"],
            "filters": {"object_type": values["objects_type"]},
        }
        if values["descriptor_version"]:
            content["options"] = {"descriptor_version": values["descriptor_version"]}
        return content


_GC = ("target", "before", "account_id", "remove_samples", "remove_image_origins", "store_results",
       "descriptor_version", "descriptor_type", "description")  # fmt: skip
_EXTRACTION = ("objects_type", "extraction_target", "descriptor_version", "account_id", "description")
_RUNS = ("trigger", "trigger_timezone", "start_immediately", "create_stopped")


class _TaskForm(NewTaskForm):
    task_type = content = None  # type: ignore[assignment]  # Django removes the inherited fields


class _ScheduleForm(NewScheduleForm):
    task_type = content = None  # type: ignore[assignment]


class GcTaskForm(GcFields, _TaskForm):
    fields_shown = (*_GC, "result_ttl_days")


class ExtractionTaskForm(ExtractionFields, _TaskForm):
    fields_shown = (*_EXTRACTION, "result_ttl_days")


class GcScheduleForm(GcFields, _ScheduleForm):
    fields_shown = (*_GC, *_RUNS)


class ExtractionScheduleForm(ExtractionFields, _ScheduleForm):
    fields_shown = (*_EXTRACTION, *_RUNS)


TASK_FORMS = {"gc": GcTaskForm, "additional_extract": ExtractionTaskForm}
SCHEDULE_FORMS = {"gc": GcScheduleForm, "additional_extract": ExtractionScheduleForm}
