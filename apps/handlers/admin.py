"""Handlers and verifiers in the admin site. The workbench edits them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import resolve, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from apps.accounts.adminbase import DeletingAdmin
from apps.accounts.adminbase.display import Labels, json_text, rows_of, similarity_bar
from apps.accounts.adminbase.filters import readable
from apps.accounts.auth.access import actor_of
from apps.common.errors import LunaError
from apps.common.parts import HANDLERS
from apps.common.refusals import refusal_text
from apps.faces.models import List
from apps.handlers.choices import HandlerType
from apps.handlers.models import Handler, Verifier
from apps.handlers.policies import policies_cached
from apps.handlers.policies.filled import policies_filled, verifier_policies_filled
from apps.handlers.policies.verifier import DEFAULT_THRESHOLD, verifier_policies_cached
from apps.handlers.secrets import policies_mask
from apps.handlers.services import handler_delete, verifier_delete
from apps.handlers.words import Section, lists_of, policies_words, verifier_words


class PoliciesAdmin(DeletingAdmin):
    """Readable pages of rows with policies. Pages of the workbench, whose names begin with `route`, change them."""

    parts = (HANDLERS,)
    route = ""
    may_add = True

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the page of the workbench that creates a row; it checks the permission."""
        page: HttpResponse = resolve(reverse(f"workbench:{self.route}_add")).func(request)
        return page

    @display(description=_("actions"))
    def links(self, row: Any) -> SafeString:
        """Link the pages that edit, try and copy the row, for users who may use them."""
        viewer, name = row.viewer, self.opts.model_name
        offered = [
            ("edit", _("Edit and try"), viewer.has_perm(f"handlers.change_{name}")),
            ("copy", _("Copy"), viewer.has_perm(f"handlers.add_{name}")),
        ]
        return format_html_join(
            " ",
            '<a class="luna-button" href="{}">{}</a>',
            ((reverse(f"workbench:{self.route}_{page}", args=(row.pk,)), text) for page, text, may in offered if may),
        )


def _readable(sections: list[Section], filled: Mapping[str, Any] | None) -> SafeString:
    return render_to_string("admin/luna/policies.html", {"sections": sections, "json": json_text(filled)})


def _unreadable(error: LunaError, stored: Any) -> SafeString:
    return format_html('<p class="luna-error">{}</p>{}', refusal_text(error), json_text(stored))


def list_names(account_id: UUID, list_ids: set[UUID]) -> dict[UUID, str]:
    """Return the names of lists of an account by id; of deleted lists there is none."""
    rows = List.objects.for_account(account_id).filter(list_id__in=list_ids) if list_ids else ()
    return {row.list_id: row.user_data or str(row.list_id) for row in rows}


@admin.register(Handler)
class HandlerAdmin(PoliciesAdmin):
    """Stored handlers: their policies as words and tables, with deletion."""

    route = "handler"
    list_display = ("name", "account", "kind", "policy_names", "events", "create_time", "last_update_time")
    list_select_related = ("account",)
    list_filter = (
        ("account", AutocompleteSelectFilter),
        ("handler_type", ChoicesDropdownFilter),
        ("create_time", RangeDateTimeFilter),
    )
    search_fields = ("description", "account__login")
    id_search_fields = ("handler_id", "account_id")
    search_help_text = _("A part of description or login; handler id or account id")
    date_hierarchy = "create_time"
    ordering = ("-create_time",)
    fields = ("links", "handler_id", "description", "account", "handler_type", "policies_text", "create_time",
              "last_update_time")  # fmt: skip

    @display(description=_("handler"), header=True)
    def name(self, handler: Handler) -> list[str]:
        return [handler.description or "—", str(handler.handler_id)]

    @display(description=_("type"), ordering="handler_type", label=Labels({"dynamic": "info", "lambda": "warning"}))
    def kind(self, handler: Handler) -> str:
        return readable(HandlerType(handler.handler_type).name.lower())

    @display(description=_("policies"))
    def policy_names(self, handler: Handler) -> str:
        return ", ".join(readable(name.removesuffix("_policy")) for name in handler.policies or {}) or "—"

    @display(description=_("policies"))
    def policies_text(self, handler: Handler) -> SafeString:
        stored = policies_mask(handler.policies)
        if stored is None:
            return format_html("{}", _("Each request brings its own policies."))
        try:
            policies = policies_cached(handler.policies, stored=True)
        except LunaError as error:
            return _unreadable(error, stored)
        names = list_names(handler.account_id, lists_of(policies))
        return _readable(policies_words(policies, names=names), policies_filled(stored))

    @display(description=_("events"))
    def events(self, handler: Handler) -> SafeString:
        return rows_of("events_event", "handler", handler.handler_id, _("events"))

    def delete_rows(self, request: HttpRequest, rows: list[Handler]) -> None:
        for handler in rows:
            handler_delete(account_id=handler.account_id, handler_id=handler.handler_id, actor=actor_of(request))


@admin.register(Verifier)
class VerifierAdmin(PoliciesAdmin):
    """Stored verifiers: their policies as words and tables, with deletion."""

    route = "verifier"
    list_display = ("name", "account", "version", "threshold", "create_time", "last_update_time")
    list_select_related = ("account",)
    list_filter = (("account", AutocompleteSelectFilter), ("create_time", RangeDateTimeFilter))
    search_fields = ("description", "account__login")
    id_search_fields = ("verifier_id", "account_id")
    search_help_text = _("A part of description or login; verifier id or account id")
    date_hierarchy = "create_time"
    ordering = ("-create_time",)
    fields = ("links", "verifier_id", "description", "account", "version", "policies_text", "create_time",
              "last_update_time")  # fmt: skip

    @display(description=_("verifier"), header=True)
    def name(self, verifier: Verifier) -> list[str]:
        return [verifier.description or "—", str(verifier.verifier_id)]

    @display(description=_("threshold"))
    def threshold(self, verifier: Verifier) -> SafeString:
        return similarity_bar(verifier.policies.get("verification_threshold", DEFAULT_THRESHOLD))

    @display(description=_("policies"))
    def policies_text(self, verifier: Verifier) -> SafeString:
        try:
            policies = verifier_policies_cached(verifier.policies)
        except LunaError as error:
            return _unreadable(error, verifier.policies)
        return _readable(verifier_words(policies), verifier_policies_filled(verifier.policies))

    def delete_rows(self, request: HttpRequest, rows: list[Verifier]) -> None:
        for verifier in rows:
            verifier_delete(
                account_id=verifier.account_id, verifier_id=verifier.verifier_id, actor=actor_of(request)
            )  # fmt: skip
