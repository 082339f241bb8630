"""Pages of groups of limitations."""

from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from apps.accounts.adminbase.display import rows_of
from apps.accounts.auth.access import actor_of
from apps.common.errors import LunaError
from apps.configurator import services
from apps.configurator.admin.changes import history_of
from apps.configurator.admin.editing import EditorAdmin
from apps.configurator.admin.filters import LinkedFilter
from apps.configurator.admin.pages import conflict, difference_rows, problem_of, problems_of, show
from apps.configurator.api.serializers import GroupBody, GroupPatch
from apps.configurator.choices import NAME_LENGTH, TEXT_LENGTH, Kind
from apps.configurator.history import ChangedSinceError, fingerprint, group_state
from apps.configurator.models import Limitation, SettingGroup


@dataclass(slots=True)
class Draft:
    """Unsaved contents, with the problems by field. `seen`: the fingerprint of the stored group."""

    name: str = ""
    description: str = ""
    limitations: list[str] = field(default_factory=list)
    seen: str = ""
    problems: dict[str, str] = field(default_factory=dict)


@admin.register(SettingGroup)
class SettingGroupAdmin(EditorAdmin):
    """Groups of limitations."""

    kind = Kind.GROUP

    list_display = ("group_name", "description", "linked")
    list_filter = (LinkedFilter,)
    search_fields = ("group_name", "description")
    search_help_text = gettext_lazy("A part of name or description")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request).annotate(limitations_n=Count("limitations"))
        return found

    @display(description=gettext_lazy("settings"), ordering="limitations_n")
    def linked(self, group: Any) -> SafeString:
        return rows_of("configurator_setting", "group", group.group_name, group.limitations_n)

    def delete_rows(self, request: HttpRequest, rows: list[SettingGroup]) -> None:
        for row in rows:
            services.group_delete(name=row.group_name, actor=actor_of(request))

    def edited(self, request: HttpRequest, row: Any, *, is_gone: bool, may_save: bool) -> HttpResponse:
        """Edit a group, or create one."""
        return _edited(request, row, is_gone=is_gone, may_save=may_save)


def _edited(request: HttpRequest, group: SettingGroup | None, *, is_gone: bool, may_save: bool) -> HttpResponse:
    conflicting = None
    if request.method == "POST":
        draft = _posted(request, group)
        if not is_gone and request.POST.get("do") == "save" and _is_valid(draft, group):
            try:
                return _saved(request, draft, group)
            except ChangedSinceError:
                conflicting = _conflict(draft, group)
            except LunaError as error:
                draft.problems = problem_of(error)
    else:
        draft = Draft() if group is None else _opened(group)
    if is_gone:
        draft.problems.setdefault("", _("The group was deleted after you opened this page. Save creates it again."))
    return show(
        request,
        "group",
        _("New group") if group is None else str(group),
        draft=draft,
        group=group,
        may_save=may_save,
        action=reverse("admin:configurator_settinggroup_add") if is_gone else "",
        conflict=conflicting,
        names=list(Limitation.objects.values_list("limitation_name", flat=True)),
        history=history_of(Kind.GROUP, group.group_name) if group else "",
        most_name=NAME_LENGTH,
        most=TEXT_LENGTH,
        back=reverse("admin:configurator_settinggroup_changelist"),
    )


def _posted(request: HttpRequest, group: SettingGroup | None) -> Draft:
    sent = request.POST
    name = sent.get("name", "").strip() if group is None else group.group_name
    return Draft(name, sent.get("description", ""), sent.getlist("limitations"), sent.get("seen", ""))


def _opened(group: SettingGroup) -> Draft:
    linked = list(group.limitations.values_list("limitation_name", flat=True))
    return Draft(group.group_name, group.description, linked, fingerprint(Kind.GROUP, group.group_name))


def _is_valid(draft: Draft, group: SettingGroup | None) -> bool:
    body = {"description": draft.description, "limitations": draft.limitations}
    if group is None:
        found = problems_of(GroupBody, {**body, "group_name": draft.name})
        draft.problems = {"name" if field == "group_name" else field: text for field, text in found.items()}
    else:
        draft.problems = problems_of(GroupPatch, body)
    return not draft.problems


def _saved(request: HttpRequest, draft: Draft, group: SettingGroup | None) -> HttpResponse:
    contents: Any = {"description": draft.description, "limitations": draft.limitations, "actor": actor_of(request)}
    if group is None:
        saved = services.group_create(name=draft.name, **contents)
    else:
        saved = services.group_update(name=group.group_name, seen=draft.seen, **contents)
    messages.success(request, _("Saved."))
    return HttpResponseRedirect(reverse("admin:configurator_settinggroup_change", args=(saved.pk,)))


def _conflict(draft: Draft, group: SettingGroup | None) -> dict[str, Any]:
    """Return what has changed since; the next save replaces it."""
    if group is None:
        return conflict(Kind.GROUP, "", [])
    group.refresh_from_db()
    draft.seen = fingerprint(Kind.GROUP, group.group_name)
    mine = {"name": draft.name, "description": draft.description, "limitations": sorted(draft.limitations)}
    return conflict(Kind.GROUP, group.group_name, difference_rows(group_state(group), mine))
