"""The page of an account with its lists, faces and tasks, in place of the page of `accounts`, which knows no data."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.accounts.admin import AccountAdmin
from apps.accounts.adminbase.display import NOTHING, may_view, number_text, once, page_named, rows_of
from apps.accounts.models import Account
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.faces import selectors as faces
from apps.faces.models import Face, List
from apps.tasks.models import Task
from apps.tasks.selectors import tasks_filter

SHOWN = 10
FIRST = Page(1, SHOWN)

admin.site.unregister(Account)


@admin.register(Account)
class AccountDataAdmin(AccountAdmin):
    """Accounts with their data. A part of it is shown to users who may view this kind of data."""

    data = ("lists", "faces", "tasks")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        return fieldsets if obj is None else (*fieldsets, (_("Data"), {"fields": self.data}))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*super().get_readonly_fields(request, obj), *self.data)

    @display(description=_("lists"))
    @once
    def lists(self, account: Any) -> SafeString:
        if not may_view(account.viewer, List):
            return NOTHING
        scope = Scope(account.pk)
        rows = faces.lists_page(scope=scope, filters={}, page=FIRST)
        sizes = faces.list_sizes(scope=scope, list_ids=[row.list_id for row in rows])
        lines = ((row.user_data or "—", row.list_id, number_text(sizes.get(row.list_id, 0))) for row in rows)
        return _table(lines, _all("faces_list", account, faces.lists_count(scope=scope, filters={})))

    @display(description=_("faces"))
    @once
    def faces(self, account: Any) -> SafeString:
        if not may_view(account.viewer, Face):
            return NOTHING
        scope = Scope(account.pk)
        rows = faces.faces_page(scope=scope, filters={}, page=FIRST, with_lists=False)
        url = reverse("admin:faces_face_changelist")
        lines = (
            (
                row.user_data or row.external_id or "—",
                format_html('<a href="{}?q={}" class="luna-link">{}</a>', url, row.face_id, row.face_id),
                localize(row.create_time),
            )
            for row in rows
        )
        return _table(lines, _all("faces_face", account, faces.faces_count(scope=scope, filters={})))

    @display(description=_("tasks"))
    @once
    def tasks(self, account: Any) -> SafeString:
        if not may_view(account.viewer, Task):
            return NOTHING
        return _all("tasks_task", account, tasks_filter(scope=Scope(account.pk), filters={}).count())


def _all(page: str, account: Account, number: int) -> SafeString:
    """Render the number of the account's rows with a link to them."""
    if not number:
        return SafeString("0")
    name = page_named(page).model._meta.verbose_name_plural
    return rows_of(page, "account__account_id__exact", account.pk, f"{number_text(number)} {name}")


def _table(lines: Any, more: SafeString) -> SafeString:
    rows = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", lines)
    return format_html('<table class="luna-rows">{}</table><p>{}</p>', rows, more) if rows else more
