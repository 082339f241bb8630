"""Division of stored objects among subtasks: ranges of database keys, which the order of creation determines."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import QuerySet

CHUNK_ROWS = 10_000
PARTS_OF_ONE_SIZE = 500


class KeyRange(NamedTuple):
    """Keys above `after`, up to `until`; `objects` objects have them."""

    after: int
    until: int
    objects: int


def key_ranges(rows: "QuerySet[Any]", *, size: int, check: Callable[[], None]) -> list[KeyRange]:
    """Return ranges of about `size` objects each, or one empty range.

    The size doubles after every `PARTS_OF_ONE_SIZE` ranges: the number of subtasks grows slowly with that of objects.
    `check`: called for every `CHUNK_ROWS` objects.
    """
    found: list[KeyRange] = []
    after = key = count = 0
    with transaction.atomic():  # the cursor of the server, which holds no copy of the keys, needs a transaction
        for at, key in enumerate(rows.order_by("pk").values_list("pk", flat=True).iterator(CHUNK_ROWS)):
            if at % CHUNK_ROWS == 0:
                check()
            count += 1
            if count == size << (len(found) // PARTS_OF_ONE_SIZE):
                found.append(KeyRange(after, key, count))
                after, count = key, 0
    if count or not found:
        found.append(KeyRange(after, key, count))
    return found


def rows_after(rows: "QuerySet[Any]", after: int, until: int, limit: int) -> "QuerySet[Any]":
    """Return the first `limit` rows with a key above `after`, up to `until`, ordered by key."""
    return rows.filter(pk__gt=after, pk__lte=until).order_by("pk")[:limit]
