"""Pages of limitations: those of the platform are shown, those of other software are edited."""

from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display

from apps.accounts.auth.access import actor_of
from apps.common.errors import LunaError
from apps.configurator import selectors, services
from apps.configurator.admin.changes import history_of
from apps.configurator.admin.editing import EditorAdmin
from apps.configurator.admin.filters import ServiceFilter, SettingGroupFilter
from apps.configurator.admin.forms.building import pretty
from apps.configurator.admin.pages import conflict, difference_rows, json_field, problem_of, problems_of, show, words_of
from apps.configurator.api.serializers import LimitationBody, SettingBody
from apps.configurator.choices import NAME_LENGTH, Kind
from apps.configurator.history import ChangedSinceError, fingerprint, limitation_state
from apps.configurator.models import Limitation, SettingGroup
from apps.configurator.services import LimitationDraft

NEW_SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
PARTS = {"limitation_name": "name"}  # fields by the names of the API


@dataclass(slots=True)
class Draft:
    """Unsaved contents: texts, with the problems by field. `seen`: the fingerprint of the stored limitation."""

    name: str = ""
    description: str = ""
    services: str = ""
    groups: list[str] = field(default_factory=list)
    schema: str = pretty(NEW_SCHEMA)
    default_value: str = "{}"
    seen: str = ""
    problems: dict[str, str] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """Return the contents as the history has them, as far as they can be read."""
        ignored: dict[str, str] = {}
        return {
            "name": self.name,
            "description": self.description,
            "services": words_of(self.services),
            "groups": sorted(self.groups),
            "validation_schema": json_field(self.schema, "", ignored),
            "default_value": json_field(self.default_value, "", ignored),
        }

    def checked(self) -> LimitationDraft | None:
        """Return what is to be saved; None if there are problems."""
        schema = json_field(self.schema, "validation_schema", self.problems)
        default_value = json_field(self.default_value, "default_value", self.problems)
        names = words_of(self.services)
        common = {"description": self.description, "services": names, "groups": self.groups}
        self.problems |= problems_of(LimitationBody, {**common, "validation_schema": None, "default_value": None})
        name_problems = problems_of(SettingBody, {"name": self.name, "value": None})
        if "name" in name_problems:
            self.problems["name"] = name_problems["name"]
        if self.problems:
            return None
        return LimitationDraft(
            name=self.name, schema=schema, services=names, default_value=default_value, description=self.description
        )


@admin.register(Limitation)
class LimitationAdmin(EditorAdmin):
    """Limitations with their schemas."""

    kind = Kind.LIMITATION

    list_display = ("limitation_name", "purpose", "used_by", "ours")
    list_filter = (("platform", BooleanRadioFilter), ServiceFilter, SettingGroupFilter)
    list_per_page = 100
    search_fields = ("limitation_name", "description")
    search_help_text = gettext_lazy("A part of name or description")

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:
        for row in rows:
            row.facts = selectors.facts_of(row)

    @display(description=gettext_lazy("description"))
    def purpose(self, limitation: Any) -> str:
        about = limitation.facts.description
        return (_(about) if limitation.platform else about) or "—"

    @display(description=gettext_lazy("services"))
    def used_by(self, limitation: Any) -> str:
        names = limitation.facts.services
        more = f" +{len(names) - 3}" if len(names) > 3 else ""
        return (", ".join(names[:3]) + more) or "—"

    @display(description=gettext_lazy("of the platform"), boolean=True, ordering="platform")
    def ours(self, limitation: Limitation) -> bool:
        return limitation.platform

    def delete_rows(self, request: HttpRequest, rows: list[Limitation]) -> None:
        for row in rows:
            services.limitation_delete(name=row.limitation_name, actor=actor_of(request))

    def edited(self, request: HttpRequest, row: Any, *, is_gone: bool, may_save: bool) -> HttpResponse:
        """Show or edit a limitation, or create one with its default setting."""
        return _edited(request, row, is_gone=is_gone, may_save=may_save)


def _edited(request: HttpRequest, limitation: Limitation | None, *, is_gone: bool, may_save: bool) -> HttpResponse:
    conflicting = None
    if request.method == "POST":
        draft = _posted(request)
        if not is_gone and request.POST.get("do") == "save" and (checked := draft.checked()) is not None:
            try:
                return _saved(request, draft, checked, limitation)
            except ChangedSinceError:
                conflicting = _conflict(draft, limitation)
            except LunaError as error:
                draft.problems = {PARTS.get(path, path): text for path, text in problem_of(error).items()}
    else:
        draft = _opened(limitation, request.GET.get("from", ""))
    if is_gone:
        text = _("The limitation was deleted after you opened this page. Save creates it again.")
        draft.problems.setdefault("", text)
    return show(
        request,
        "limitation",
        _("New limitation") if limitation is None else str(limitation),
        draft=draft,
        limitation=limitation,
        facts=selectors.facts_of(limitation) if limitation else None,
        is_edited=may_save and (limitation is None or not limitation.platform),
        action=reverse("admin:configurator_limitation_add") if is_gone else "",
        conflict=conflicting,
        settings=list(limitation.settings.select_related("limitation")) if limitation else (),
        groups=list(SettingGroup.objects.values_list("group_name", flat=True)),
        history=history_of(Kind.LIMITATION, limitation.limitation_name) if limitation else "",
        most=NAME_LENGTH,
        back=reverse("admin:configurator_limitation_changelist"),
    )


def _posted(request: HttpRequest) -> Draft:
    sent = request.POST
    return Draft(
        name=sent.get("name", "").strip(),
        description=sent.get("description", ""),
        services=sent.get("services", ""),
        groups=sent.getlist("groups"),
        schema=sent.get("validation_schema", ""),
        default_value=sent.get("default_value", ""),
        seen=sent.get("seen", ""),
    )


def _opened(limitation: Limitation | None, original: str) -> Draft:
    """Return the contents of a limitation, or of a new one, which may begin as a copy."""
    if limitation is None:
        wanted = int(original) if original.isascii() and original.isdecimal() and len(original) < 19 else 0
        copied = Limitation.objects.filter(pk=wanted).first()
        return Draft() if copied is None else _contents(copied, name="")
    draft = _contents(limitation, name=limitation.limitation_name)
    draft.seen = fingerprint(Kind.LIMITATION, limitation.limitation_name)
    return draft


def _contents(limitation: Limitation, *, name: str) -> Draft:
    facts = selectors.facts_of(limitation)
    return Draft(
        name=name,
        description=facts.description,
        services="\n".join(facts.services),
        groups=list(limitation.setting_groups.values_list("group_name", flat=True)),
        schema=pretty(facts.schema),
        default_value=pretty(facts.default_value),
    )


def _saved(request: HttpRequest, draft: Draft, checked: LimitationDraft, limitation: Limitation | None) -> HttpResponse:
    actor = actor_of(request)
    if limitation is None:
        saved = services.limitation_create(draft=checked, groups=draft.groups, actor=actor)
    else:
        name = limitation.limitation_name
        saved = services.limitation_replace(name=name, draft=checked, groups=draft.groups, seen=draft.seen, actor=actor)
    messages.success(request, _("Saved."))
    return HttpResponseRedirect(reverse("admin:configurator_limitation_change", args=(saved.pk,)))


def _conflict(draft: Draft, limitation: Limitation | None) -> dict[str, Any]:
    """Return what has changed since; the next save replaces it."""
    if limitation is None:
        return conflict(Kind.LIMITATION, "", [])
    limitation.refresh_from_db()
    draft.seen = fingerprint(Kind.LIMITATION, limitation.limitation_name)
    present = {name: value for name, value in limitation_state(limitation).items() if name != "settings"}
    return conflict(Kind.LIMITATION, limitation.limitation_name, difference_rows(present, draft.state()))
