"""Filters of lists, by words, parts of texts and ids."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest
from django.utils.functional import lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter, FieldTextFilter, TextFilter
from unfold.contrib.filters.forms import AutocompleteDropdownForm

from apps.accounts.adminbase.display import may_view, page_named
from apps.common.fields import parse_uuid
from apps.common.filters.enums import Number

MAX_NAMED = 100  # objects whose name contains the text of a filter


class OwnedChoiceField(ModelChoiceField):  # type: ignore[type-arg]
    """A choice among rows of all accounts."""

    def __init__(self, queryset: Any, **kwargs: Any) -> None:
        super().__init__(queryset.model.everything.all(), **kwargs)


class OwnedDropdownForm(AutocompleteDropdownForm):
    field = OwnedChoiceField


class OwnedSelectFilter(AutocompleteSelectFilter):
    """A filter by a related row with an owner account."""

    form_class = OwnedDropdownForm


class WordsFilter(ChoicesDropdownFilter):
    """A filter by words. The choices are fixed, because DISTINCT values of a column would need its whole table."""

    words: ClassVar[Mapping[Any, Any]]

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        form = self.form_class(
            label=_(" By %(filter_title)s ") % {"filter_title": self.title},
            name=self.lookup_kwarg,
            choices=[self.all_option, *self.words.items()],
            data={self.lookup_kwarg: self.value()},
        )
        yield {"form": form}


def by_words(words: Mapping[Any, Any]) -> type[WordsFilter]:
    """Return a filter of a column with these values and their words."""
    return type("WordsFilter", (WordsFilter,), {"words": words})


def by_numbers(numbers: type[Number]) -> type[WordsFilter]:
    """Return a filter of a column of numbers by the words of the platform."""
    return by_words({each.value: readable_lazy(each.word) for each in numbers})


def readable(name: str) -> str:
    """Return a name of the platform as words in the language of the page: `medical_mask` as `medical mask`."""
    return gettext(name.replace("_", " ")) if name else ""


readable_lazy = lazy(readable, str)
"""`readable`, evaluated when a page shows it: for what is made at import."""


class PartFilter(FieldTextFilter):
    """A filter of a text column by a part of its value, in any case."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        value = self.value()
        if not value:
            return queryset
        if "\0" in value:  # no column has it, and PostgreSQL rejects it
            return queryset.none()
        found: QuerySet[Any] | None = super().queryset(request, queryset)
        return found


class ValueFilter(TextFilter):
    """A filter by one text, which a subclass applies."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = (self.value() or "").strip()
        if not value:
            return queryset
        return queryset.none() if "\0" in value else self.filtered(request, queryset, value)

    def filtered(self, request: HttpRequest, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        raise NotImplementedError


class TagFilter(ValueFilter):
    """Rows with a tag."""

    title = _("tag")
    parameter_name = "tag"

    def filtered(self, request: HttpRequest, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(tags__contains=[value])


class NamedFilter(ValueFilter):
    """A filter by an object of another page: by its id or, with the page's permission, by a part of its name.

    `page` is the page's name in addresses, `id_column` the public id of its model.
    """

    page: ClassVar[str]
    id_column: ClassVar[str]

    def ids(self, request: HttpRequest, value: str) -> Iterable[Any]:
        """Return the ids that `value` means, at most `MAX_NAMED`."""
        wanted = parse_uuid(value)
        if wanted is not None:
            return [wanted]
        page = page_named(self.page)
        if not may_view(request.user, page.model):
            return []
        found, _duplicates = page.get_search_results(request, page.get_queryset(request).order_by("pk"), value)
        ids: Iterable[Any] = found.values_list(self.id_column, flat=True)[:MAX_NAMED]
        return ids
