"""Base classes of the admin pages of all rooms.

Pages change rows only through the services that the API uses, which write the audit lines. Each page and action needs
the permission of its model (`apps.accounts.roles`).
"""

import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import get_fields_from_path
from django.db import OperationalError, transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from psycopg.errors import QueryCanceled
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action

from apps.accounts.adminbase.display import NOTHING, may_view
from apps.accounts.adminbase.lists import SEARCH_S, LunaList
from apps.accounts.adminbase.walks import limit_statements
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.parts import PARTS, part_is_on
from apps.common.refusals import refusal_text

View = Callable[..., HttpResponse]
QUOTED = re.compile(r'"([^"\0]+)"')


def refusals_shown(view: View) -> View:
    """Decorate a view: a LunaError rolls its transaction back and is shown as a message on the next page."""

    @wraps(view)
    def shown(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                return view(self, request, *args, **kwargs)
        except LunaError as error:
            messages.error(request, refusal_text(error))
            return HttpResponseRedirect(request.get_full_path() if request.method == "POST" else reverse("admin:index"))

    return shown


class LunaAdmin(ModelAdmin):
    """A page that is read-only by default. Subclasses enable actions, which still need the model's permission.

    The number of queries of a list does not depend on its length.
    """

    list_per_page = 50
    list_before_template = "admin/luna/walk.html"
    empty_value_display = NOTHING
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # counts of each choice would need the whole table
    list_filter_submit = True
    list_fullwidth = True
    compressed_fields = True
    id_search_fields: ClassVar[tuple[str, ...]] = ()
    whole_search_fields: ClassVar[tuple[str, ...]] = ()  # indexed columns that a term in quotes is compared with
    parts: ClassVar[tuple[str, ...]] = ()  # services (`common.parts`) without which the API rejects these rows

    may_add: ClassVar[bool] = False
    may_change: ClassVar[bool] = False
    may_delete: ClassVar[bool] = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may_add and bool(super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may_change and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may_delete and bool(super().has_delete_permission(request, obj))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        return super().get_object(request, object_id, from_field or None)  # Django fails for the name of no field

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Return the filters whose choices the user may view."""
        return [each for each in super().get_list_filter(request) if self._may_choose(request, each)]

    def _may_choose(self, request: HttpRequest, list_filter: Any) -> bool:
        if not isinstance(list_filter, tuple) or not issubclass(list_filter[1], AutocompleteSelectFilter):
            return True
        chosen = get_fields_from_path(self.model, list_filter[0])[-1].related_model
        return may_view(request.user, chosen)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LunaList]:
        return LunaList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search a UUID or a term in quotes in indexed columns, and parts of any other term in the text columns."""
        term = search_term.strip()
        wanted: Any = parse_uuid(term)
        names = self.id_search_fields
        if wanted is None and (quoted := QUOTED.fullmatch(term)):
            wanted, names = quoted[1], self.whole_search_fields
        if wanted is None or not names:
            found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
            return found
        condition = Q()
        for name in names:
            condition |= Q(**{name: wanted})
        return queryset.filter(condition), False

    @refusals_shown
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list. A search or filter ends after `SEARCH_S` with a message."""
        context = {"title": capfirst(str(self.opts.verbose_name_plural)), **(extra_context or {})}
        self._name_parts_off(request)
        try:
            with transaction.atomic():
                if request.GET:
                    limit_statements(f"'{SEARCH_S}s'")
                response: Any = super().changelist_view(request, context)
                if "cl" in (getattr(response, "context_data", None) or {}):
                    listed = response.context_data["cl"]
                    self.rows_shown(request, list(listed.result_list))
                    response.render()  # may query as well
                if request.GET:
                    limit_statements("DEFAULT")
        except OperationalError as error:
            if not request.GET or not isinstance(error.__cause__, QueryCanceled):
                raise
            messages.error(
                request,
                _("The search took longer than %(limit)d s. Narrow it by a filter, or search for a whole id.")
                % {"limit": SEARCH_S},
            )
            return HttpResponseRedirect(request.path)
        found: HttpResponse = response
        return found

    def _name_parts_off(self, request: HttpRequest) -> None:
        """Show a message for each service of the page that is off. The rows are kept and stay visible."""
        for part in self.parts:
            if not part_is_on(part):
                text = _("The service %(service)s is off (ADDITIONAL_SERVICES_USAGE): the API rejects its requests.")
                messages.warning(request, text % {"service": PARTS[part].title})

    def rows_shown(self, request: HttpRequest, rows: list[Any]) -> None:
        """Prepare the rows of a list before they are rendered."""

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Pass the user to the row, whose links depend on permissions."""
        if kwargs.get("obj") is not None:
            kwargs["obj"].viewer = request.user
        return super().render_change_form(request, context, *args, **kwargs)

    @refusals_shown
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "GET":
            self._name_parts_off(request)
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response


class DeletingAdmin(LunaAdmin):
    """A page with deletion of single or selected rows, by `delete_rows`.

    `actions_row = ("delete_row",)` adds a button to each row of the list.
    """

    may_delete = True

    @action(description=gettext_lazy("Delete"), url_path="delete-row", permissions=("delete",))
    def delete_row(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the page that asks for the confirmation."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_delete"
        return HttpResponseRedirect(reverse(name, args=(object_id,)))

    def delete_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        """Delete rows with the room's service, which writes the audit lines. Raises LunaError."""
        raise NotImplementedError

    @refusals_shown
    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().delete_view(request, *args, **kwargs)
        return response

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_rows(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.delete_rows(request, list(queryset))

    def get_deleted_objects(
        self, objs: Iterable[Any], request: HttpRequest
    ) -> tuple[list[str | SafeString], dict[str, int], set[str], list[str]]:
        """Return the names of the rows only. Django would load all dependent rows, such as millions of faces."""
        names: list[str | SafeString] = [str(row) for row in objs]
        return names, {str(self.opts.verbose_name_plural): len(names)}, set(), []
