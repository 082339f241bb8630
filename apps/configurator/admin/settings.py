"""Pages of settings: the list, and the editor by form or JSON."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action, display

from apps.accounts.adminbase.display import tags as tag_labels
from apps.accounts.adminbase.filters import TagFilter
from apps.accounts.auth.access import actor_of
from apps.common.config import config
from apps.common.errors import LunaError
from apps.configurator import platform, selectors, services
from apps.configurator.admin import loading
from apps.configurator.admin.changes import history_of
from apps.configurator.admin.drafts import FORM, Draft, opened, posted
from apps.configurator.admin.editing import EditorAdmin
from apps.configurator.admin.filters import (
    EffectFilter,
    ServiceFilter,
    SettingGroupFilter,
    StateFilter,
    is_changed,
)
from apps.configurator.admin.pages import conflict, difference_rows, problem_of, show
from apps.configurator.choices import NAME_LENGTH, Effect, Kind
from apps.configurator.config import Configurator
from apps.configurator.followers import followers
from apps.configurator.history import ChangedSinceError, fingerprint
from apps.configurator.models import Limitation, Setting

CHANGELIST = "admin:configurator_setting_changelist"


@admin.register(Setting)
class SettingAdmin(EditorAdmin):
    """Settings: default ones, and copies with tags."""

    kind = Kind.SETTING

    list_display = ("name", "state", "effect", "environment", "changed")
    list_select_related = ("limitation",)
    list_filter = (StateFilter, EffectFilter, ServiceFilter, SettingGroupFilter, TagFilter)
    list_per_page = 100
    search_fields = ("limitation__limitation_name", "description")
    search_help_text = gettext_lazy("A part of name or description")
    actions_list = ("load", "dump", "processes")

    @display(description=gettext_lazy("setting"), header=True, ordering="limitation__limitation_name")
    def name(self, setting: Setting) -> list[Any]:
        about = _(setting.description) if setting.limitation.platform else setting.description
        return [setting.limitation.limitation_name, tag_labels(setting.tags) if setting.tags else about]

    @display(description=gettext_lazy("state"), label={"changed": "warning", "tagged": "info", "default": None})
    def state(self, setting: Setting) -> tuple[str, Any]:
        if not setting.is_default:
            return "tagged", _("with tags")
        return ("changed", _("changed")) if is_changed(setting) else ("default", _("default"))

    @display(description=gettext_lazy("takes effect"))
    def effect(self, setting: Setting) -> str:
        return str(_effect(setting.limitation).label)

    @display(description=gettext_lazy("environment"))
    def environment(self, setting: Setting) -> Any:
        group = platform.group_named(setting.limitation.limitation_name)
        return tag_labels(platform.overridden(group).values()) if group and setting.limitation.platform else "—"

    @display(description=gettext_lazy("changed"), ordering="last_update_time")
    def changed(self, setting: Setting) -> str:
        return f"{setting.last_update_time:%Y-%m-%d %H:%M}"

    @action(description=gettext_lazy("Load a dump"), url_path="load", permissions=("load",))
    def load(self, request: HttpRequest) -> HttpResponse:
        return loading.load_page(request)

    @action(description=gettext_lazy("Download"), url_path="dump", permissions=("view",))
    def dump(self, request: HttpRequest) -> HttpResponse:
        return loading.dump_page(request)

    @action(description=gettext_lazy("Processes"), url_path="processes", permissions=("view",))
    def processes(self, request: HttpRequest) -> HttpResponse:
        """Show which processes have applied the present settings."""
        return show(request, "processes", _("Processes"), **_processes(""))

    def has_load_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perms(loading.PERMISSIONS))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.arrivals_view)
        return [path("arrivals/", view, name="configurator_arrivals"), *super().get_urls()]

    def arrivals_view(self, request: HttpRequest) -> HttpResponse:
        """Answer with the part of a page that names the processes; its script asks again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return show(request, "arrivals", "", **_processes(request.GET.get("group", "")))

    def delete_rows(self, request: HttpRequest, rows: list[Setting]) -> None:
        for row in rows:
            services.setting_delete(setting_id=row.pk, actor=actor_of(request))

    def edited(self, request: HttpRequest, row: Any, *, is_gone: bool, may_save: bool) -> HttpResponse:
        """Edit a setting, or create one with tags."""
        limitation = _limitation(request) if row is None else row.limitation
        if limitation is not None:
            return _edited(request, limitation, row, is_gone=is_gone, may_save=may_save)
        if is_gone:
            return self.missing(request, None)
        return show(request, "choose", _("New setting"), names=_names(), back=reverse(CHANGELIST))


def _limitation(request: HttpRequest) -> Limitation | None:
    """Return the limitation of a new setting: of the setting to duplicate, or as chosen."""
    original = _original(request)
    if original is not None:
        return original.limitation
    name = request.POST.get("limitation") or request.GET.get("limitation", "")
    return None if "\0" in name else Limitation.objects.filter(limitation_name=name).first()


def _original(request: HttpRequest) -> Setting | None:
    key = request.GET.get("from", "")
    wanted = int(key) if key.isascii() and key.isdecimal() and len(key) < 19 else 0
    return Setting.objects.select_related("limitation").filter(pk=wanted).first()


def _names() -> list[str]:
    """Return the names of the limitations whose values can be stored."""
    named = Limitation.objects.values_list("limitation_name", "platform")
    return [name for name, ours in named if not ours or ((group := platform.group_named(name)) and group.stored)]


def _effect(limitation: Limitation) -> Effect:
    return platform.effect_of(platform.group_named(limitation.limitation_name) if limitation.platform else None)


def _edited(
    request: HttpRequest, limitation: Limitation, setting: Setting | None, *, is_gone: bool, may_save: bool
) -> HttpResponse:
    conflicting = None
    if request.method == "POST":
        draft = posted(request, limitation)
        if draft.act("" if is_gone else request.POST.get("do", "")):
            try:
                return _saved(request, draft, setting)
            except ChangedSinceError:
                stored = selectors.setting_get(setting.pk) if setting else None
                conflicting = _conflict(draft, stored)
            except LunaError as error:
                draft.problems = problem_of(error)
    elif setting is not None:
        draft = opened(setting)
    else:
        original = _original(request)
        draft = Draft(limitation, value={} if limitation.platform else limitation.default_value)
        if original is not None:
            draft.value, draft.description = original.value, original.description
    if is_gone:
        draft.problems.setdefault("", _("The setting was deleted after you opened this page. Save creates it again."))
    group = draft.group
    return show(
        request,
        "setting",
        str(setting or limitation),
        draft=draft,
        setting=setting,
        limitation=limitation,
        is_stored=group is None or group.stored,
        may_save=may_save,
        action=reverse("admin:configurator_setting_add") if is_gone else "",
        conflict=conflicting,
        facts=selectors.facts_of(limitation),
        effect=_effect(limitation),
        groups=list(limitation.setting_groups.values_list("pk", "group_name")),
        form=draft.form() if draft.mode == FORM else None,
        text=draft.editor_text(),
        changes=_changes(draft),
        secrets=platform.secrets_of(group) if group else {},
        overridden=platform.overridden(group) if group else {},
        used_tag=config(Configurator).tags_by_name.get(limitation.limitation_name, ""),
        most=NAME_LENGTH,
        history=history_of(Kind.SETTING, setting.pk) if setting else "",
        back=reverse(CHANGELIST),
        **_processes(limitation.limitation_name),
    )


def _saved(request: HttpRequest, draft: Draft, setting: Setting | None) -> HttpResponse:
    options: Any = {"draft": draft.to_save, "check": draft.check, "actor": actor_of(request)}
    if setting is None:
        saved = services.setting_create(**options)
    else:
        saved = services.setting_replace(setting_id=setting.pk, seen=draft.seen, **options)
    messages.success(request, _("Saved."))
    return HttpResponseRedirect(reverse("admin:configurator_setting_change", args=(saved.pk,)))


def _conflict(draft: Draft, stored: Setting | None) -> dict[str, Any]:
    """Return what has changed since; the next save replaces it."""
    if stored is None:
        return conflict(Kind.SETTING, "", [])
    draft.seen = fingerprint(Kind.SETTING, stored.pk)
    present = {"value": selectors.value_of(stored), "description": stored.description, "tags": ", ".join(stored.tags)}
    mine = {"value": draft.whole, "description": draft.description, "tags": draft.tags}
    return conflict(Kind.SETTING, stored.pk, difference_rows(present, mine))


def _changes(draft: Draft) -> list[dict[str, str]]:
    """Return how the value differs from the default one."""
    return difference_rows(draft.default_value, draft.whole)


def _processes(group: str) -> dict[str, Any]:
    settings = config(Configurator)
    return {
        "followers": followers(group),
        "followed": group,
        "reload": settings.config_reload,
        "pulling_s": settings.pulling_time,
    }
