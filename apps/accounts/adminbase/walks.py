"""Pages of large tables: rows in the order of the table, read until a page is full or a time has passed.

A condition without an index may match no row of a million, so a page of such a list says how far back it searched, and
the next page continues there. PostgreSQL's core has no index for parts of texts; 1,000,000 events take it 3 to 5 s.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import OperationalError, connection, transaction
from django.db.models import Model, Q, QuerySet
from psycopg.errors import QueryCanceled

WHOLE_S = 0.08  # for the statement that PostgreSQL plans as it likes, such as by the index of another column
FIRST_S = 0.08  # for the windows of the first page, which is shown within 300 ms
FURTHER_S = 1.0  # for those of a further page, for which somebody waits
WINDOW_ROWS = 4000
WINDOW_S = 0.05

Values = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list by columns without nulls, all descending or all ascending. The last one is the key."""

    model: type[Model]
    columns: tuple[str, ...]
    descending: bool

    def names(self) -> list[str]:
        return [f"-{name}" if self.descending else name for name in self.columns]

    def beyond(self, place: Values) -> Q:
        """Return the condition on rows behind a place."""
        return self._side(place, "lt" if self.descending else "gt")

    def up_to(self, place: Values) -> Q:
        """Return the condition on rows in front of a place, and on its own row."""
        return self._side(place, "gt" if self.descending else "lt", Q(**dict(zip(self.columns, place, strict=True))))

    def _side(self, place: Values, side: str, own: Q = Q()) -> Q:  # noqa: B008 - no condition changes
        condition, equal = own, dict[str, Any]()
        for name, value in zip(self.columns, place, strict=True):
            condition |= Q(**equal, **{f"{name}__{side}": value})
            equal[name] = value
        # The first condition is implied by the second one, and is the one that an index finds.
        return Q(**{f"{self.columns[0]}__{side}e": place[0]}) & condition

    def place_of(self, row: Any) -> list[Any]:
        return [getattr(row, name) for name in self.columns]

    def text_of(self, place: Values) -> str:
        """Return a place as a text for addresses."""
        return orjson.dumps(list(place)).decode()

    def parsed(self, text: str) -> list[Any] | None:
        """Return the place of a text, None if it is not one."""
        try:
            given = orjson.loads(text)
            fields = [self.model._meta.get_field(name) for name in self.columns]
            if not isinstance(given, list) or any(value is None or "\0" in str(value) for value in given):
                return None
            return [field.clean(value, None) for field, value in zip(fields, given, strict=True)]  # type: ignore[union-attr]
        except (TypeError, ValueError, ValidationError):
            return None


def order_of(model: type[Model], names: Sequence[Any]) -> Order | None:
    """Return the order of a list by names as `order_by` takes them; None if a walk cannot follow it."""
    key = model._meta.pk.name
    given = [str(name) for name in names]
    columns = [key if name.lstrip("-") == "pk" else name.lstrip("-") for name in given]
    try:
        if not columns or any(model._meta.get_field(name).null for name in columns):
            return None
    except FieldDoesNotExist:
        return None
    if key not in columns:
        columns.append(key)
        given.append(f"-{key}" if given[0].startswith("-") else key)
    columns = columns[: columns.index(key) + 1]
    signs = {name.startswith("-") for name in given[: len(columns)]}
    return Order(model, tuple(columns), signs.pop()) if len(signs) == 1 else None


@dataclass(frozen=True, slots=True)
class Walk:
    """A page: its rows, the place where the next one begins, and whether the time ended before the page was full.

    `following` is empty at the end of the list. `reached` is the time of the last row that was searched, if rows of
    the table have one.
    """

    rows: list[Any]
    following: str = ""
    unfinished: bool = False
    reached: datetime | None = None


def limit_statements(limit: str) -> None:
    """Set the time limit of each further statement of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout TO {limit}")


def walk(
    queryset: QuerySet[Any], order: Order, *, size: int, after: Values | None, time_column: str | None, limit: str
) -> Walk:
    """Return the page of a list that begins after a place. `limit`: the time limit of later statements.

    Raises OperationalError if PostgreSQL ends even a small window, as on a machine without free time.
    """
    queryset = queryset.order_by(*order.names())
    begun = queryset if after is None else queryset.filter(order.beyond(after))
    try:
        with transaction.atomic():
            limit_statements(f"{WHOLE_S * 1e3:.0f}")
            rows = list(begun[: size + 1])
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        return _by_windows(queryset, order, size=size, after=after, time_column=time_column)
    limit_statements(limit)
    return _page(rows, order, size)


def _page(rows: list[Any], order: Order, size: int) -> Walk:
    following = order.text_of(order.place_of(rows[size - 1])) if len(rows) > size else ""
    return Walk(rows[:size], following)


def _by_windows(
    queryset: QuerySet[Any], order: Order, *, size: int, after: Values | None, time_column: str | None
) -> Walk:
    """Search windows of the table, one after the other."""
    ends_s = time.monotonic() + (FIRST_S if after is None else FURTHER_S)
    table: QuerySet[Any] = order.model._base_manager.order_by(*order.names())
    shown = (*order.columns, *([time_column] if time_column else []))
    rows, window, place, reached = list[Any](), WINDOW_ROWS, after, None
    while True:
        started_s = time.monotonic()
        front = Q() if place is None else order.beyond(place)
        edge = table.filter(front).values_list(*shown)[window - 1 : window].first()
        if edge is None:
            return _page(rows + list(queryset.filter(front)[: size + 1 - len(rows)]), order, size)
        place = edge[: len(order.columns)]
        rows += queryset.filter(front & order.up_to(place))[: size + 1 - len(rows)]
        if len(rows) > size:
            return _page(rows, order, size)
        reached = edge[-1] if time_column else None
        now_s = time.monotonic()
        if now_s > ends_s:
            return Walk(rows, order.text_of(place), unfinished=True, reached=reached)
        if now_s - started_s < WINDOW_S / 2:
            window *= 2
