"""The operators of filters. Each is defined in SQL (`q`) and in Python (`holds`), with the same meaning.

A missing value (NULL, None) satisfies no operator, except that None among the wanted values selects rows without an
estimation.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import Q


class Operator(Protocol):
    @property
    def many(self) -> bool:
        """Whether the filter value is a sequence."""

    @property
    def text(self) -> str:
        """Meaning in the OpenAPI document, after the name of the column."""

    def q(self, column: str, value: Any) -> Q: ...

    def holds(self, fact: Any, value: Any) -> bool: ...


class Equal:
    """The fact equals the value."""

    many = False
    text = "equal to this value"

    def q(self, column: str, value: Any) -> Q:
        return Q(**{column: value})

    def holds(self, fact: Any, value: Any) -> bool:
        return fact is not None and bool(fact == value)


def _any_of(column: str, lookup: str, value: Sequence[Any]) -> Q:
    condition = Q(**{f"{column}__{lookup}": [item for item in value if item is not None]})
    return condition | Q(**{f"{column}__isnull": True}) if None in value else condition


class OneOf:
    """The fact equals one of the values."""

    many = True
    text = "one of these values"

    def q(self, column: str, value: Sequence[Any]) -> Q:
        return _any_of(column, "in", value)

    def holds(self, fact: Any, value: Sequence[Any]) -> bool:
        return fact in value


class Overlap:
    """A multi-valued fact and the wanted values have a common element."""

    many = True
    text = "at least one of these values"

    def q(self, column: str, value: Sequence[Any]) -> Q:
        return _any_of(column, "overlap", value)

    def holds(self, fact: Sequence[Any] | None, value: Sequence[Any]) -> bool:
        return None in value if fact is None else any(item in value for item in fact)


class Has:
    """A relation to several rows contains the value."""

    many = False
    text = "with this one among them"

    def q(self, column: str, value: Any) -> Q:
        return Q(**{column: value})

    def holds(self, fact: Sequence[Any] | None, value: Any) -> bool:
        return fact is not None and value in fact


@dataclass(frozen=True, slots=True)
class Bound:
    """The fact is on one side of the value: `gte`, `gt`, `lt` or `lte`."""

    suffix: str
    compare: Callable[[Any, Any], bool]
    text: str
    many: bool = False

    def q(self, column: str, value: Any) -> Q:
        return Q(**{f"{column}__{self.suffix}": value})

    def holds(self, fact: Any, value: Any) -> bool:
        return fact is not None and self.compare(fact, value)


EQUAL = Equal()
ONE_OF = OneOf()
OVERLAP = Overlap()
HAS = Has()
BOUNDS = {
    "gte": Bound("gte", operator.ge, "from this value on"),
    "gt": Bound("gt", operator.gt, "above this value"),
    "lt": Bound("lt", operator.lt, "below this value"),
    "lte": Bound("lte", operator.le, "up to this value"),
}
