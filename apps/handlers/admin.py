"""Handlers and verifiers in the admin site."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from apps.accounts.adminbase import DeletingAdmin
from apps.accounts.adminbase.display import json_text, rows_of, similarity_bar
from apps.accounts.auth.access import actor_of
from apps.common.parts import HANDLERS
from apps.handlers.choices import HandlerType
from apps.handlers.models import Handler, Verifier
from apps.handlers.policies.verifier import DEFAULT_THRESHOLD
from apps.handlers.secrets import policies_mask
from apps.handlers.services import handler_delete, verifier_delete


@admin.register(Handler)
class HandlerAdmin(DeletingAdmin):
    """Read-only pages of stored handlers, with deletion. Only the API creates and replaces handlers."""

    parts = (HANDLERS,)
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


@admin.register(Verifier)
class VerifierAdmin(DeletingAdmin):
    """Read-only pages of stored verifiers, with deletion. Only the API creates and replaces verifiers."""

    parts = (HANDLERS,)
    list_display = ("name", "account", "version", "threshold", "create_time", "last_update_time")
    list_select_related = ("account",)
    list_filter = (("account", AutocompleteSelectFilter), ("create_time", RangeDateTimeFilter))
    search_fields = ("description", "account__login")
    id_search_fields = ("verifier_id", "account_id")
    search_help_text = "A part of description or login; verifier id or account id"
    date_hierarchy = "create_time"
    ordering = ("-create_time",)
    fields = ("verifier_id", "description", "account", "version", "policies_text", "create_time", "last_update_time")

    @display(description="verifier", header=True)
    def name(self, verifier: Verifier) -> list[str]:
        return [verifier.description or "—", str(verifier.verifier_id)]

    @display(description="threshold")
    def threshold(self, verifier: Verifier) -> SafeString:
        return similarity_bar(verifier.policies.get("verification_threshold", DEFAULT_THRESHOLD))

    @display(description="policies")
    def policies_text(self, verifier: Verifier) -> SafeString:
        return json_text(verifier.policies)

    def delete_rows(self, request: HttpRequest, rows: list[Verifier]) -> None:
        for verifier in rows:
            verifier_delete(
                account_id=verifier.account_id, verifier_id=verifier.verifier_id, actor=actor_of(request)
            )  # fmt: skip
