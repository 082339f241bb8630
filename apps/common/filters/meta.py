"""Conditions on the client-supplied `meta` of events: `meta.<path>[__<operator>][:<type>]`.

Example: `meta.user.temperature__gte:numeric=36.6`. A path leads through objects. Type `string` (the default) compares
JSON strings; `integer` and `numeric` compare JSON numbers and numeric strings. A missing value, or one of another type,
satisfies no operator.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import Case, Expression, F, FloatField, Func, Q, TextField, Value, When
from django.db.models.functions import Collate
from django.db.models.lookups import (
    Contains,
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
    Regex,
)
from rest_framework.exceptions import ValidationError

from apps.common.filters.operators import BOUNDS

PREFIX = "meta."
NAME = re.compile(
    r"meta\.(?P<path>[^:\s\0]{1,256}?)(?:__(?P<operator>eq|neq|like|nlike|in|nin|gte|gt|lte|lt))?"
    r"(?::(?P<type>string|integer|numeric))?"
)
NEGATIVE = {"neq": "eq", "nin": "in", "nlike": "like"}
LOOKUPS = {"gte": GreaterThanOrEqual, "gt": GreaterThan, "lt": LessThan, "lte": LessThanOrEqual}
INTEGER = re.compile(r"-?[0-9]{1,18}")
NUMERIC = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
NUMBER_IN_META = r"^-?[0-9]+([.][0-9]+)?$"
MAX_CHARACTERS = 1000
MAX_VALUES = 1000


@dataclass(frozen=True, slots=True)
class MetaCondition:
    """A condition on one path. `values`: strings, or Decimals if `numeric`; several for `in` and `nin`, else one."""

    path: tuple[str, ...]
    operator: str
    numeric: bool
    values: tuple[Any, ...]

    def q(self) -> Q:
        there, fact = self._sql_number() if self.numeric else self._sql_text()
        values = [_numeric(Value(str(value))) if self.numeric else Value(value) for value in self.values]
        operator = NEGATIVE.get(self.operator, self.operator)
        if operator in LOOKUPS:
            condition = Q(LOOKUPS[operator](fact, values[0]))
        elif operator == "like":
            condition = Q(Contains(fact, self.values[0]))
        else:
            condition = Q(In(fact, values))
        return there & (~condition if self.operator in NEGATIVE else condition)

    @property
    def index_path(self) -> str:
        """The path as indexes of `meta` are named."""
        return ".".join(self.path) + (":numeric" if self.numeric else "")

    def value(self) -> Expression:
        """Return the SQL expression that the condition compares, for indexes."""
        return (self._sql_number() if self.numeric else self._sql_text())[1]

    def column(self) -> Expression:
        """Return the value at the path, NULL if there is none of the type."""
        there, fact = self._sql_number() if self.numeric else self._sql_text()
        return Case(When(there, then=fact))

    def scalar(self) -> Expression:
        return Case(When(Q(In(self._type(), ["string", "number", "boolean"])), then=self._at("#>")))

    def _sql_text(self) -> tuple[Q, Expression]:
        # Collation "C" orders by code point, as Python does.
        return Q(Exact(self._type(), "string")), Collate(self._at("#>>"), "C")

    def _sql_number(self) -> tuple[Q, Expression]:
        text = self._at("#>>")
        there = Q(In(self._type(), ["string", "number"])) & Q(Regex(text, NUMBER_IN_META))
        return there, Case(When(there, then=_numeric(text)))  # CASE: other values must not be cast

    def _at(self, arrow: str) -> Func:
        path = Value(list(self.path), output_field=ArrayField(TextField()))
        return Func(F("meta"), path, template="(%(expressions)s)", arg_joiner=f" {arrow} ", output_field=TextField())

    def _type(self) -> Func:
        return Func(self._at("#>"), function="jsonb_typeof", output_field=TextField())

    def holds(self, meta: Any) -> bool:
        fact = self._fact(meta)
        if fact is None:
            return False
        operator = NEGATIVE.get(self.operator, self.operator)
        if operator in BOUNDS:
            held = BOUNDS[operator].holds(fact, self.values[0])
        elif operator == "like":
            held = self.values[0] in str(fact)
        else:
            held = fact in self.values
        return held != (self.operator in NEGATIVE)

    def _fact(self, meta: Any) -> str | Decimal | None:
        for step in self.path:
            if not isinstance(meta, dict) or step not in meta:
                return None
            meta = meta[step]
        if not self.numeric:
            return meta if isinstance(meta, str) else None
        if isinstance(meta, bool) or not isinstance(meta, str | int | float):
            return None
        text = meta if isinstance(meta, str) else format(Decimal(repr(meta)), "f")
        return Decimal(text) if re.fullmatch(NUMBER_IN_META, text) else None


def _numeric(expression: Expression) -> Func:
    return Func(expression, template="(%(expressions)s)::numeric", output_field=FloatField())


@dataclass(frozen=True, slots=True)
class Meta:
    """All conditions on `meta` of a request; the value None selects events without `meta`."""

    name: str = "meta"

    def q(self, value: Sequence[MetaCondition] | None) -> Q:
        if value is None:
            return Q(meta__isnull=True)
        return Q(*(condition.q() for condition in value))

    def holds(self, facts: Mapping[str, Any], value: Sequence[MetaCondition] | None) -> bool:
        meta = facts.get("meta")
        return meta is None if value is None else all(condition.holds(meta) for condition in value)


META = Meta()


def meta_condition(name: str, value: Any) -> MetaCondition:
    """Parse a parameter into a condition; `value` is query text or JSON. Raises DRF's ValidationError."""
    matched = NAME.fullmatch(name)
    if matched is None or not all(path := tuple(matched["path"].split("."))):
        raise ValidationError({name: "expected meta.<path>[__<operator>][:string|integer|numeric]."})
    operator, kind = matched["operator"] or "eq", matched["type"] or "string"
    if kind != "string" and operator in ("like", "nlike"):
        raise ValidationError({name: f"{operator} compares strings."})
    values = [value]
    if operator in ("in", "nin"):
        values = value.split(",") if isinstance(value, str) else value
        if not isinstance(values, list) or not 1 <= len(values) <= MAX_VALUES:
            raise ValidationError({name: f"1 to {MAX_VALUES} values are required."})
    return MetaCondition(path, operator, kind != "string", tuple(_value(name, kind, each) for each in values))


def meta_column(name: str) -> Expression:
    """Return the value at `meta.<path>[:<type>]` of a row; without a type any text, number or truth value, as `jsonb`.

    Raises DRF's ValidationError.
    """
    matched = NAME.fullmatch(name)
    if matched is None or matched["operator"] or not all(path := tuple(matched["path"].split("."))):
        raise ValidationError({name: "expected meta.<path>[:string|integer|numeric]."})
    condition = MetaCondition(path, "eq", matched["type"] in ("integer", "numeric"), ())
    return condition.column() if matched["type"] else condition.scalar()


def is_untyped_meta(name: str) -> bool:
    """Return whether `meta_column` of the name gives `jsonb`."""
    return name.startswith(PREFIX) and NAME.fullmatch(name) is not None and ":" not in name


def _value(name: str, kind: str, value: Any) -> str | Decimal:
    if kind == "string":
        if not isinstance(value, str) or len(value) > MAX_CHARACTERS or "\0" in value:
            raise ValidationError({name: f"a string of at most {MAX_CHARACTERS} characters is required."})
        return value
    pattern = INTEGER if kind == "integer" else NUMERIC
    if isinstance(value, bool) or not pattern.fullmatch(text := str(value).strip()):
        raise ValidationError({name: f"a value of type {kind} is required."})
    return Decimal(text)
