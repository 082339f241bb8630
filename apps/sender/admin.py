"""Admin page of callbacks that are not delivered. It shows no bodies, which are biometric data."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import action, display

from apps.accounts.adminbase import DeletingAdmin
from apps.accounts.adminbase.display import Labels
from apps.accounts.adminbase.filters import by_words, readable, readable_lazy
from apps.accounts.auth.access import actor_of
from apps.common.refusals import sentence
from apps.sender.models import Callback
from apps.sender.outbox import callbacks_drop, callbacks_replay
from apps.sender.targets import TARGETS


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("dead", _("dead letters")), ("waiting", _("waiting"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Callback]) -> QuerySet[Callback]:
        if self.value() is None:
            return queryset
        return queryset.filter(dead_time__isnull=self.value() == "waiting")


@admin.register(Callback)
class CallbackAdmin(DeletingAdmin):
    """Waiting callbacks and dead letters; an action delivers dead letters again."""

    list_display = ("callback_id", "account", "receiver", "place", "state", "attempts", "problem", "create_time")
    list_select_related = ("account",)
    list_filter = (
        StateFilter,
        ("account", AutocompleteSelectFilter),
        ("kind", by_words({kind: readable_lazy(kind) for kind in TARGETS})),
        ("create_time", RangeDateTimeFilter),
    )
    search_fields = ("place", "account__login")
    id_search_fields = ("callback_id", "object_id", "account_id")
    search_help_text = _("A part of the address or login; callback id, event id or account id")
    date_hierarchy = "create_time"
    ordering = ("-id",)
    fields = ("callback_id", "account", "receiver", "place", "object_id", "size", "attempts", "problem", "create_time",
              "due_time", "expire_time", "dead_time")  # fmt: skip
    actions = ("replay",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Callback]:
        rows: QuerySet[Callback] = super().get_queryset(request).defer("payload", "target")
        return rows

    @display(description=_("state"), label=Labels({"dead letter": "danger", "waiting": "info"}))
    def state(self, callback: Callback) -> str:
        return str(_("waiting") if callback.dead_time is None else _("dead letter"))

    @display(description=_("kind"), ordering="kind")
    def receiver(self, callback: Callback) -> str:
        return readable(callback.kind)

    @display(description=_("error"))
    def problem(self, callback: Callback) -> str:
        return sentence(callback.error)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("sender.change_callback"))

    @action(description=_("Deliver selected dead letters again"), permissions=("replay",))
    def replay(self, request: HttpRequest, queryset: QuerySet[Callback]) -> None:
        replayed = callbacks_replay(callback_ids=list(queryset.values_list("callback_id", flat=True)))
        messages.success(request, _("%(count)d callbacks are delivered again.") % {"count": replayed})

    def delete_rows(self, request: HttpRequest, rows: list[Callback]) -> None:
        callbacks_drop(callback_ids=[row.callback_id for row in rows], actor=actor_of(request))
