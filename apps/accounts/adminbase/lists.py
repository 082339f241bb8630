"""Lists of admin pages. Of a large table, pages follow one another by their places instead of numbers."""

from typing import Any

from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from unfold.views import ChangeList

from apps.accounts.adminbase.display import number_text
from apps.accounts.adminbase.walks import Order, Walk, order_of, walk
from apps.common.rows import rows_estimate

SEARCH_S = 5  # for a list that is read as a whole
WALKED_ROWS = 50_000  # a search for a part of a text reads so many rows in a tenth of a second


class WalkPages(Paginator):  # type: ignore[type-arg]
    """What Unfold's template needs of a page without a number."""

    template_name = "admin/luna/walk_pages.html"


class LunaList(ChangeList):
    """A list. Of a table with more than `WALKED_ROWS` rows, it has the default order or its reverse, and no count."""

    walk: Walk | None = None

    @cached_property
    def table_rows(self) -> int:
        """Return the number of rows of the table that PostgreSQL estimates."""
        return rows_estimate(self.model._meta.db_table)

    @cached_property
    def _default(self) -> Order | None:
        """Return the default order of a large table's list, None for other lists."""
        if self.table_rows <= WALKED_ROWS:
            return None
        return order_of(self.model, self._get_default_ordering())

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        ordering: list[Any] = super().get_ordering(request, queryset)
        if (default := self._default) is None:
            return ordering
        backwards = "" if default.descending else "-"
        reverse = ordering[:1] == [f"{backwards}{default.columns[0]}"]
        return Order(self.model, default.columns, default.descending is not reverse).names()

    def get_results(self, request: HttpRequest) -> None:
        order = None if self._default is None else order_of(self.model, self.queryset.query.order_by)
        if order is None:
            super().get_results(request)
            if self.query:
                self.date_hierarchy = None  # its dates would need the whole search again
            return
        after = order.parsed(request.GET.get(PAGE_VAR, ""))
        found = walk(
            self.queryset,
            order,
            size=self.list_per_page,
            after=after,
            time_column=self.model_admin.date_hierarchy,
            limit=f"'{SEARCH_S}s'" if request.GET else "DEFAULT",
        )
        self.walk, self.result_list, self.result_count = found, found.rows, len(found.rows)
        self.page_num, self.can_show_all, self.multi_page = 1, False, False
        self.show_full_result_count, self.show_admin_actions = False, True
        self.full_result_count = self.result_count  # Unfold shows no "results (Show all)" then
        self.paginator = WalkPages(found.rows, self.list_per_page)
        self.date_hierarchy = None  # its dates would need the whole table
        self.following = self.get_query_string({PAGE_VAR: found.following}) if found.following else ""
        self.first = "" if after is None else self.get_query_string()

    def count_shown(self) -> str:
        """Return the number of rows of this page, or that of the table if no search and no filter restricts it."""
        several = self.opts.verbose_name_plural
        rows = self.opts.verbose_name if self.result_count == 1 else several
        if not (self.following or self.first):
            return f"{number_text(self.result_count)} {rows}"
        if not self.queryset.query.where:
            return f"≈ {number_text(self.table_rows)} {several}"
        return _("%(count)s %(rows)s on this page") % {"count": number_text(self.result_count), "rows": rows}
