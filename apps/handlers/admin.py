"""Handlers in the admin site."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from apps.accounts.adminbase import DeletingAdmin
from apps.accounts.adminbase.display import json_text, rows_of
from apps.accounts.auth.access import actor_of
from apps.handlers.choices import HandlerType
from apps.handlers.models import Handler
from apps.handlers.secrets import policies_mask
from apps.handlers.services import handler_delete


@admin.register(Handler)
class HandlerAdmin(DeletingAdmin):
    """Read-only pages of stored handlers, with deletion. Only the API creates and replaces handlers."""

    list_display = ("name", "account", "kind", "policy_names", "events", "create_time", "last_update_time")
    list_select_related = ("account",)
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("handler_type", ChoicesDropdownFilter),
        ("create_time", RangeDateTimeFilter),
    )
    search_fields = ("description", "account__login")
    id_search_fields = ("handler_id", "account_id")
    search_help_text = "A part of description or login; handler id or account id"
    date_hierarchy = "create_time"
    ordering = ("-create_time",)
    fields = ("handler_id", "description", "account", "handler_type", "policies_text", "create_time",
              "last_update_time")  # fmt: skip

    @display(description="handler", header=True)
    def name(self, handler: Handler) -> list[str]:
        return [handler.description or "—", str(handler.handler_id)]

    @display(description="type", ordering="handler_type", label={"Dynamic": "info", "Lambda": "warning"})
    def kind(self, handler: Handler) -> str:
        return HandlerType(handler.handler_type).label

    @display(description="policies")
    def policy_names(self, handler: Handler) -> str:
        return ", ".join(name.removesuffix("_policy") for name in handler.policies or {}) or "—"

    @display(description="policies")
    def policies_text(self, handler: Handler) -> SafeString:
        return json_text(policies_mask(handler.policies))

    @display(description="events")
    def events(self, handler: Handler) -> SafeString:
        return rows_of("events_event", "handler", handler.handler_id, "events")

    def delete_rows(self, request: HttpRequest, rows: list[Handler]) -> None:
        for handler in rows:
            handler_delete(account_id=handler.account_id, handler_id=handler.handler_id, actor=actor_of(request))
