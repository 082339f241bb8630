"""Paging of every list resource: `page` from 1, `page_size` 1..100, default 10."""

from dataclasses import dataclass

from rest_framework import serializers

MAX_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """A window of a list; `slice` cuts it out of a queryset."""

    number: int = 1
    size: int = 10

    @property
    def slice(self) -> slice:
        start = (self.number - 1) * self.size
        return slice(start, start + self.size)


class PageQuery(serializers.Serializer[Page]):
    """Query parameters of paging; base of every list query."""

    page = serializers.IntegerField(min_value=1, max_value=2**31 - 1, default=1)
    page_size = serializers.IntegerField(min_value=1, max_value=MAX_PAGE_SIZE, default=10)
