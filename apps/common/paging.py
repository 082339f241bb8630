"""Paging of list resources: `page` from 1, `page_size` from 1 to `max_page_size`."""

from dataclasses import dataclass

from rest_framework import serializers

from apps.common.config import Paging, config
from apps.common.fields import SettingIntegerField, WholeNumberField


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; `slice` selects it from a queryset."""

    number: int = 1
    size: int = 10

    @property
    def slice(self) -> slice:
        start = (self.number - 1) * self.size
        return slice(start, start + self.size)


class PageQuery(serializers.Serializer[Page]):
    """Query parameters of paging; the base of all list queries."""

    page = WholeNumberField(min_value=1, max_value=2**31 - 1, default=1, help_text="Number of the page.")
    page_size = SettingIntegerField(
        limit=lambda: config(Paging).max_page_size,
        default=lambda: config(Paging).default_page_size,
        help_text="Objects of a page.",
    )
