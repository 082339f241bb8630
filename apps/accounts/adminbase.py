"""Base classes of the admin pages of all rooms.

Pages change rows only through the services that the API uses, which write the audit lines. Each page and action needs
the permission of its model (`apps.accounts.roles`).
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.auth import get_permission_codename
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


class OwnedChoiceField(ModelChoiceField):  # type: ignore[type-arg]
    """A choice among rows of all accounts."""

    def __init__(self, queryset: Any, **kwargs: Any) -> None:
        super().__init__(queryset.model.everything.all(), **kwargs)


class OwnedDropdownForm(AutocompleteDropdownForm):
    field = OwnedChoiceField


class OwnedSelectFilter(AutocompleteSelectFilter):
    """A filter by a related row with an owner account."""

    form_class = OwnedDropdownForm


def refusals_shown(view: View) -> View:
    """Decorate a view: a LunaError rolls its transaction back and is shown as a message on the page."""

    @wraps(view)
    def shown(self: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                return view(self, request, *args, **kwargs)
        except LunaError as error:
            messages.error(request, error.detail)
            return HttpResponseRedirect(request.get_full_path())

    return shown


def may_view(request: HttpRequest, model: Any) -> bool:
    """Return whether the user may view the rows of a model."""
    name = get_permission_codename("view", model._meta)
    return bool(request.user.has_perm(f"{model._meta.app_label}.{name}"))


class LunaAdmin(ModelAdmin):
    """A page that is read-only by default. Subclasses enable actions, which still need the model's permission.

    The number of queries of a list does not depend on its length.
    """

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True
    list_fullwidth = True
    compressed_fields = True
    id_search_fields: ClassVar[tuple[str, ...]] = ()

    may_add: ClassVar[bool] = False
    may_change: ClassVar[bool] = False
    may_delete: ClassVar[bool] = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may_add and bool(super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may_change and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may_delete and bool(super().has_delete_permission(request, obj))

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Return the filters whose choices the user may view."""
        return [each for each in super().get_list_filter(request) if self._may_choose(request, each)]

    def _may_choose(self, request: HttpRequest, list_filter: Any) -> bool:
        if not isinstance(list_filter, tuple) or not issubclass(list_filter[1], AutocompleteSelectFilter):
            return True
        chosen = get_fields_from_path(self.model, list_filter[0])[-1].related_model
        return may_view(request, chosen)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search a UUID in the indexed id columns, and any other term in the text columns."""
        wanted = parse_uuid(search_term.strip())
        if wanted is None or not self.id_search_fields:
            found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
            return found
        condition = Q()
        for name in self.id_search_fields:
            condition |= Q(**{name: wanted})
        return queryset.filter(condition), False

    @refusals_shown
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    @refusals_shown
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response


class DeletingAdmin(LunaAdmin):
    """A page with deletion of single or selected rows, by `delete_rows`."""

    may_delete = True

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
