"""Pages of the history of settings, with undo."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from apps.accounts.adminbase import LunaAdmin
from apps.accounts.auth.access import actor_of
from apps.common.config import config
from apps.common.refusals import sentence
from apps.configurator.admin.pages import actors, difference_rows, show, summary
from apps.configurator.choices import Kind
from apps.configurator.config import History
from apps.configurator.history import state_of
from apps.configurator.models import Change, Limitation, Setting, SettingGroup
from apps.configurator.undo import UndoError, change_undo

MODELS: dict[str, Any] = {Kind.SETTING: Setting, Kind.LIMITATION: Limitation, Kind.GROUP: SettingGroup}
KEYS = {Kind.SETTING: "pk", Kind.LIMITATION: "limitation_name", Kind.GROUP: "group_name"}


def may_undo(user: Any, change: Change) -> bool:
    """Return whether a user may undo a change, which needs the permission to change such objects."""
    return bool(user.has_perm(f"configurator.change_{MODELS[change.kind]._meta.model_name}"))


def history_of(kind: str, key: object) -> str:
    """Return the address of the history of an object."""
    return f"{reverse('admin:configurator_change_changelist')}?{urlencode({'kind__exact': str(kind), 'key': key})}"


@admin.register(Change)
class ChangeAdmin(LunaAdmin):
    """Changes of settings, limitations and groups: who, when, what."""

    list_display = ("time", "name", "kind", "what", "who", "undone")
    list_display_links = ("time", "name")
    list_filter = (("kind", ChoicesDropdownFilter), ("time", RangeDateTimeFilter))
    search_fields = ("name",)
    search_help_text = gettext_lazy("A part of the name")
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("undone_by")

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:
        found = actors(rows)
        for row in rows:
            row.actor = found[row.actor_id]

    @display(description=gettext_lazy("what"))
    def what(self, change: Change) -> str:
        return summary(change.before, change.after)

    @display(description=gettext_lazy("who"))
    def who(self, change: Any) -> str:
        return str(change.actor)

    @display(description=gettext_lazy("undone"))
    def undone(self, change: Any) -> str:
        return _("yes") if change.undone_by.all() else "—"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.undo_view)
        return [path("<int:change_id>/undo/", view, name="configurator_undo"), *super().get_urls()]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the state before and after a change."""
        if object_id is None or request.method == "POST" or not self.has_view_permission(request):
            raise PermissionDenied
        change = self.get_object(request, object_id)
        if change is None:
            raise Http404
        return self._shown(request, change, confirm=False)

    def undo_view(self, request: HttpRequest, change_id: int) -> HttpResponse:
        """Ask for a confirmation, then undo a change."""
        change = Change.objects.filter(pk=min(change_id, 2**63 - 1)).first()
        if change is None:
            raise Http404
        if not may_undo(request.user, change) or not self.has_view_permission(request, change):
            raise PermissionDenied
        if request.method != "POST":
            return self._shown(request, change, confirm=True)
        try:
            change_undo(change=change, actor=actor_of(request))
        except UndoError as error:
            messages.error(request, sentence(str(error)))
            return HttpResponseRedirect(reverse("admin:configurator_change_change", args=(change.pk,)))
        messages.success(request, _("The change is undone."))
        return HttpResponseRedirect(reverse("admin:configurator_change_changelist"))

    def _shown(self, request: HttpRequest, change: Change, *, confirm: bool) -> HttpResponse:
        before, after = (change.after, change.before) if confirm else (change.before, change.after)
        later = Change.objects.filter(kind=change.kind, key=change.key, pk__gt=change.pk).last()
        return show(
            request,
            "change",
            (_("Undo a change of %(name)s") if confirm else _("Change of %(name)s")) % {"name": change.name},
            change=change,
            confirm=confirm,
            who=actors([change])[change.actor_id],
            rows=difference_rows(before or {}, after or {}),
            may_undo=may_undo(request.user, change),
            is_present=state_of(change.kind, change.key) == change.after,
            later=later,
            undone_by=change.undone_by.first(),
            back=self._object(change),
            all_changes=history_of(change.kind, change.key),
            retention_days=config(History).retention_days,
        )

    def _object(self, change: Change) -> str:
        """Return the address of the object, empty if it no longer exists."""
        model = MODELS[change.kind]
        row = model.objects.filter(**{KEYS[Kind(change.kind)]: change.key}).only("pk").first()
        return reverse(f"admin:configurator_{model._meta.model_name}_change", args=(row.pk,)) if row else ""
