"""Positions of deep pages: where a page of a search ended, kept for minutes in the cache.

A page that follows a known one begins at its position and costs what the first page costs, whatever its number. The
position is used for deep pages only: a new event shifts the pages of a search without it, which nobody sees there.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.core.cache import cache
from django.db.models import Q

from apps.common.errors import LunaError
from apps.common.filters import Filters
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.events.models import Event

Order = Literal["asc", "desc"]

DEEP_ROWS = 5000  # in front of a page; PostgreSQL skips them in some milliseconds
LIFETIME_S = 600

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """The last event of a page, by the columns of its order."""

    create_time: datetime
    key: int

    def beyond(self, order: Order) -> Q:
        """Return the condition on events behind this one."""
        side = "lt" if order == "desc" else "gt"
        same = Q(create_time=self.create_time, **{f"id__{side}": self.key})
        # The first condition is implied by the second one, and is the one that an index finds.
        return Q(**{f"create_time__{side}e": self.create_time}) & (
            same | Q(**{f"create_time__{side}": self.create_time})
        )


class Positions:
    """Positions of the pages around one page of a search."""

    def __init__(self, *, scope: Scope, filters: Filters, page: Page, order: Order) -> None:
        self._page = page
        search = repr((scope, sorted(filters.items()), page.size, order))
        self._name = hashlib.sha256(search.encode()).hexdigest()

    def before(self) -> Position | None:
        """Return the position of the page before, None if this page is not deep or the position is not known."""
        if self._page.slice.start < DEEP_ROWS:
            return None
        try:
            kept = cache.get(self._key(self._page.number - 1))
        except LunaError:  # without the cache, the rows are skipped
            return None
        return None if kept is None else Position(datetime.fromisoformat(kept[0]), kept[1])

    def keep(self, last: Event) -> None:
        """Keep the position of this page, which ends with `last`, if the next page is deep."""
        if self._page.slice.stop < DEEP_ROWS:
            return
        try:
            cache.set(self._key(self._page.number), (last.create_time.isoformat(), last.pk), LIFETIME_S)
        except LunaError:
            logger.warning("Redis is not available: deep pages of events skip rows")

    def _key(self, number: int) -> str:
        return f"events.page.{self._name}.{number}"
