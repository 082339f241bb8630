"""Types of filter values: the request field that reads each, and the conversion of facts to it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from rest_framework import serializers

from apps.common.fields import FilterTimeField, PlainNumber, TextField, UUIDField, WholeNumberField
from apps.common.filters.enums import Number
from apps.common.times import parse_time

UNKNOWN, UNDEFINED = "unknown", "undefined"
AnyField = serializers.Field[Any, Any, Any, Any]


class FiniteFloatField(PlainNumber, serializers.FloatField):
    """A finite number. NaN and infinities are rejected: they order differently in SQL and Python."""

    def to_internal_value(self, data: Any) -> float:
        value: float = super().to_internal_value(data)
        if not math.isfinite(value):
            raise serializers.ValidationError("a finite number is required.")
        return value


@dataclass(frozen=True, slots=True)
class Kind:
    """A value type: `field(**kwargs)` reads a value from a request, `fact(value)` converts a fact from JSON."""

    field: Callable[..., AnyField]
    fact: Callable[[Any], Any] = lambda value: value


def text(max_length: int, *, blank: bool = False) -> Kind:
    return Kind(lambda **kwargs: TextField(**{"max_length": max_length, "allow_blank": blank, **kwargs}))


def whole(low: int, high: int) -> Kind:
    return Kind(lambda **kwargs: WholeNumberField(min_value=low, max_value=high, **kwargs))


def real(low: float, high: float) -> Kind:
    return Kind(lambda **kwargs: FiniteFloatField(min_value=low, max_value=high, **kwargs))


class NumberField(WholeNumberField):
    """A member of an enumeration, as its number or its word. `undefined` is another word for `unknown`."""

    def __init__(self, *, numbers: type[Number], **kwargs: Any) -> None:
        self.numbers = numbers
        self.words = {number.word: number.value for number in numbers}
        if UNKNOWN in self.words:
            self.words[UNDEFINED] = self.words[UNKNOWN]
        words = ", ".join(f"{number.value} {number.word}" for number in numbers)
        super().__init__(min_value=min(numbers), max_value=max(numbers), help_text=f"{words}; or the word", **kwargs)

    def to_internal_value(self, data: Any) -> int:
        return super().to_internal_value(self.words.get(data, data) if isinstance(data, str) else data)


def number(numbers: type[Number]) -> Kind:
    """Return the kind of an enumeration. Enumerations have no gaps, so checking the bounds suffices."""
    return Kind(lambda **kwargs: NumberField(numbers=numbers, **kwargs))


def _uuid_fact(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _time_fact(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else parse_time(value)


UUID_KIND = Kind(UUIDField, _uuid_fact)
TIME_KIND = Kind(FilterTimeField, _time_fact)
