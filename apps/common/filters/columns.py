"""Conditions `{column, operator, value}` on any column of events: the filters of statistics.

Columns and types of values are those of the terms. Operators: `eq`, `neq`, `in`, `nin`, `like`, `nlike`, `gt`, `gte`,
`lt`, `lte`. A column of several values satisfies `eq` and `in` if one of its values does. A missing value satisfies no
operator, except that `eq` and `in` with null select rows without a value, and `neq` and `nin` with null those with one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from rest_framework.exceptions import ValidationError

from apps.common.filters.conditions import Area
from apps.common.filters.kinds import UUID_KIND, Kind, real, text, whole
from apps.common.filters.meta import (
    MAX_CHARACTERS,
    MAX_VALUES,
    META,
    NEGATIVE,
    PREFIX,
    Meta,
    meta_column,
    meta_condition,
)
from apps.common.filters.operators import BOUNDS, ONE_OF, OVERLAP, Operator
from apps.common.filters.terms import TERMS

OPERATORS = ("eq", "neq", "in", "nin", "like", "nlike", "gt", "gte", "lt", "lte")
NULLABLE = ("eq", "neq", "in", "nin")
TEXTS = frozenset(
    {"source", "track_id", "external_id", "user_data", "tags", "city", "area", "district", "street", "house_number"}
    | {"top_matching_candidates_label", "top_similar_external_id"}
)
ARRAYS = frozenset({term.column for term in TERMS.values() if term.operator is OVERLAP} | {"attach_result"})
KINDS: Mapping[str, Kind] = {
    **{term.column: term.kind for term in TERMS.values()},
    "account_id": UUID_KIND,
    "attach_result": UUID_KIND,
    "top_similar_object_type": whole(0, 1),
    "longitude": real(-180.0, 180.0),
    "latitude": real(-90.0, 90.0),
}
"""Types of the columns by name."""


@dataclass(frozen=True, slots=True)
class ColumnCondition:
    """A condition on one column. `value`: one value of the column's kind, a list of them for `in` and `nin`."""

    column: str
    operator: str
    value: Any

    def q(self) -> Q:
        condition = self._positive().q(self.column, self._operand())
        if self.operator not in NEGATIVE:
            return condition
        return ~condition if self._names_null() else Q(**{f"{self.column}__isnull": False}) & ~condition

    def holds(self, facts: Mapping[str, Any]) -> bool:
        fact = facts.get(self.column)
        if fact is not None:
            convert = KINDS[self.column].fact
            fact = [convert(item) for item in fact] if self.column in ARRAYS else convert(fact)
        held = self._positive().holds(fact, self._operand())
        if self.operator not in NEGATIVE:
            return held
        return not held and (fact is not None or self._names_null())

    def _positive(self) -> Operator:
        operator = NEGATIVE.get(self.operator, self.operator)
        if operator == "like":
            return _PART_OF
        return BOUNDS.get(operator) or (OVERLAP if self.column in ARRAYS else ONE_OF)

    def _operand(self) -> Any:
        return [self.value] if self.operator in ("eq", "neq") else self.value

    def _names_null(self) -> bool:
        return self.value is None or (isinstance(self.value, list) and None in self.value)


class _PartOf:
    """The fact contains this text, upper and lower case being different."""

    many = False
    text = "with this text in it"

    def q(self, column: str, value: str) -> Q:
        return Q(**{f"{column}__contains": value})

    def holds(self, fact: str | None, value: str) -> bool:
        return fact is not None and value in fact


_PART_OF = _PartOf()


@dataclass(frozen=True, slots=True)
class OtherCondition:
    """A condition of `meta` or `geo_position`, or its opposite."""

    condition: Meta | Area
    value: Any
    negative: bool = False

    def q(self) -> Q:
        condition = self.condition.q(self.value)
        return ~condition if self.negative else condition

    def holds(self, facts: Mapping[str, Any]) -> bool:
        return self.condition.holds(facts, self.value) is not self.negative


AnyColumn = ColumnCondition | OtherCondition


def column_condition(column: str, operator: str, value: Any) -> AnyColumn:
    """Check a condition. Raises DRF's ValidationError, which names the member that is wrong."""
    if column == "meta" and value is None and operator in ("eq", "neq"):
        return OtherCondition(META, None, negative=operator == "neq")
    if column.startswith(PREFIX):
        meta_column(column)
        path, kind = _with_type(column, value)
        return OtherCondition(META, [meta_condition(f"{path}__{operator}{kind}", value)])
    if column not in KINDS:
        raise ValidationError({"column": f"'{column}' is no column of events."})
    if operator in ("in", "nin"):
        if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
            raise ValidationError({"value": f"1 to {MAX_VALUES} values are required."})
        return ColumnCondition(column, operator, [_value(column, operator, item) for item in value])
    if column in ARRAYS and operator not in NULLABLE:
        raise ValidationError({"operator": f"'{operator}' does not compare '{column}', which has several values."})
    return ColumnCondition(column, operator, _value(column, operator, value))


def _with_type(column: str, value: Any) -> tuple[str, str]:
    """Split `meta.<path>[:<type>]`; numbers are compared as numbers if no type is given."""
    path, colon, kind = column.partition(":")
    sample = value[0] if isinstance(value, list) and value else value
    number = isinstance(sample, int | float) and not isinstance(sample, bool)
    return path, f":{kind}" if colon else ":numeric" if number else ""


def _value(column: str, operator: str, value: Any) -> Any:
    if isinstance(value, bool):
        raise ValidationError({"value": "true and false are no values of a column."})
    if value is None:
        if operator not in NULLABLE:
            raise ValidationError({"value": f"null does not fit '{operator}'."})
        return None
    if operator in ("like", "nlike"):
        if column not in TEXTS:
            raise ValidationError({"operator": f"'{operator}' compares texts; '{column}' is none."})
        kind = text(MAX_CHARACTERS)
    else:
        kind = KINDS[column]
    try:
        return kind.field().run_validation(value)
    except ValidationError as error:
        raise ValidationError({"value": error.detail}) from error
