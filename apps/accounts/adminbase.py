"""What the admin pages of all rooms share.

Rows are shown as they are and changed through the same services as the API: a page that names no service changes
nothing. Every deletion leaves an audit line.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ClassVar

from django.contrib import messages
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.contrib.filters.forms import AutocompleteDropdownForm

from apps.common.errors import LunaError
from apps.common.fields import parse_uuid

View = Callable[..., HttpResponse]


class OwnedChoiceField(ModelChoiceField):
    """A choice among rows that belong to accounts: the admin site reads everybody's."""

    def __init__(self, queryset: Any, **kwargs: Any) -> None:
        super().__init__(queryset.model.everything.all(), **kwargs)


class OwnedDropdownForm(AutocompleteDropdownForm):
    field = OwnedChoiceField


class OwnedSelectFilter(AutocompleteSelectFilter):
    """A filter by a related row that belongs to an account."""

    form_class = OwnedDropdownForm


def refusals_shown(view: View) -> View:
    """A service's refusal becomes a message on the page that it was asked from; nothing is changed then."""

    @wraps(view)
    def shown(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                return view(self, request, *args, **kwargs)
        except LunaError as error:
            messages.error(request, error.detail)
            return HttpResponseRedirect(request.get_full_path())

    return shown


class LunaAdmin(ModelAdmin):
    """Read-only, unless a subclass says otherwise. Lists cost the same number of queries however long they are."""

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True
    list_fullwidth = True
    compressed_fields = True
    id_search_fields: ClassVar[tuple[str, ...]] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A UUID is looked up among the ids, by their indexes; other words are looked for in the texts."""
        wanted = parse_uuid(search_term.strip())
        if wanted is None or not self.id_search_fields:
            return super().get_search_results(request, queryset, search_term)
        condition = Q()
        for name in self.id_search_fields:
            condition |= Q(**{name: wanted})
        return queryset.filter(condition), False

    @refusals_shown
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, extra_context)

    @refusals_shown
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **kwargs)


class DeletingAdmin(LunaAdmin):
    """Rows may be deleted, one at a time and chosen in the list, by `delete_rows`."""

    def delete_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        """Deletes by the room's service and writes the audit lines. Raises LunaError."""
        raise NotImplementedError

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    @refusals_shown
    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().delete_view(request, *args, **kwargs)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_rows(request, [obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.delete_rows(request, list(queryset))

    def get_deleted_objects(
        self, objs: Iterable[Any], request: HttpRequest
    ) -> tuple[list[str | SafeString], dict[str, int], set[str], list[str]]:
        """Names the rows only. Django would read everything that hangs on them, an account's million faces too."""
        names: list[str | SafeString] = [str(row) for row in objs]
        return names, {str(self.opts.verbose_name_plural): len(names)}, set(), []
