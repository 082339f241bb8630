"""The body of POST /6/events/stats."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import FloatField, PositiveSmallIntegerField
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from apps.common.fields import FilterTimeField, TimeZoneField
from apps.common.filters import EventFilterSerializer
from apps.common.filters.columns import (
    ARRAYS,
    KINDS,
    OPERATORS,
    TEXTS,
    AnyColumn,
    ColumnCondition,
    OtherCondition,
    column_condition,
)
from apps.common.filters.conditions import AREA
from apps.common.filters.meta import META, PREFIX, meta_column
from apps.common.validation import StrictSerializer, refuse_unknown
from apps.events.models import Event
from apps.events.statistics import DAYS, FREQUENCIES, MONTHS, POSITION, SECONDS, Grouping, Interval, Question, Target

MAX_FILTERS = 100
MAX_TARGETS = 30
MAX_GROUPINGS = 10
MAX_COUNT = 10_000
TIMES = ("create_time", "end_time", "insert_time")
UNITS = (*SECONDS, *DAYS, *MONTHS)
SHORT_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "M": "month", "y": "year"}
INTERVAL = re.compile(rf"(?:(?P<count>[0-9]{{1,6}})\s*)?(?P<unit>{'|'.join(UNITS)}|[smhdwMy])s?")
FREQUENCY_NAMES: Mapping[str, str] = {
    **{name: name for name in FREQUENCIES},
    "minute": "minute_of_hour",
    "hour": "hour_of_day",
    "weekday": "day_of_week",
    "monthday": "day_of_month",
    "yearday": "day_of_year",
    "week": "week_of_year",
    "month": "month_of_year",
}
INTERVAL_TEXT = "a count and a unit, such as 15m, 1h, 1d, 2w, 1M, month or year"
AGGREGATORS = ("count", "min", "max", "avg", "group_by")
NUMBERS = frozenset(
    name
    for name in KINDS
    if name not in ARRAYS and isinstance(Event._meta.get_field(name), FloatField | PositiveSmallIntegerField)
)
MEASURED = {"min": NUMBERS | TEXTS - ARRAYS | set(TIMES), "max": NUMBERS | TEXTS - ARRAYS | set(TIMES), "avg": NUMBERS}
"""Columns of each aggregator; all have `count`."""


def _interval(given: str) -> Interval | None:
    matched = INTERVAL.fullmatch(given)
    if matched is None or (matched["count"] is None and matched["unit"] in SHORT_UNITS):
        return None
    count = int(matched["count"] or 1)
    if not 1 <= count <= MAX_COUNT:
        raise ValidationError(f"the count of an interval must be 1 to {MAX_COUNT}, got {count}.")
    return Interval(count, SHORT_UNITS.get(matched["unit"], matched["unit"]))


def _checked_column(column: str) -> str:
    if column.startswith(PREFIX):
        meta_column(column)
    elif column == META.name:
        raise ValidationError(f"'{column}' can only be counted; give a path, such as `meta.door`.")
    elif column not in KINDS and column != POSITION:
        raise ValidationError(f"'{column}' is no column of events.")
    return column


class ConditionSerializer(StrictSerializer):
    """A condition: `column`, `operator` and `value`."""

    column = serializers.CharField(max_length=300, help_text="A column of events, `meta.<path>` or `geo_position`.")
    operator = serializers.ChoiceField(OPERATORS)
    value = serializers.JSONField(
        allow_null=True,
        help_text="A value of the column; an array for `in` and `nin`; null: not estimated or not given. "
        "For `geo_position` an object with the origin and the deltas of an area.",
    )

    def to_internal_value(self, data: Any) -> AnyColumn:
        values = super().to_internal_value(data)
        if values["column"] == POSITION:
            return _area(values["operator"], values["value"])
        return column_condition(values["column"], values["operator"], values["value"])


def _area(operator: str, value: Any) -> AnyColumn:
    if value is None and operator in ("eq", "neq"):
        return OtherCondition(AREA, None, negative=operator == "neq")
    if operator != "eq" or not isinstance(value, dict):
        raise ValidationError({"operator": "'geo_position' has 'eq' with an area or null, and 'neq' with null."})
    refuse_unknown(value, {"origin_longitude", "origin_latitude", "longitude_delta", "latitude_delta"})
    area = EventFilterSerializer().run_validation(value)["filters"].get(AREA.name)
    if area is None:
        raise ValidationError({"value": "the origin of the area is required."})
    return OtherCondition(AREA, area)


class ConditionsField(serializers.ListField):
    """Conditions, all of which an event must meet; or an object with the filters of `GET /6/events`."""

    child = ConditionSerializer()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_FILTERS, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            return super().to_internal_value(data)
        refuse_unknown(
            {name: 0 for name in data if not str(name).startswith(PREFIX)}, set(EventFilterSerializer().fields)
        )
        return EventFilterSerializer().run_validation(data)["filters"]


class TargetSerializer(StrictSerializer):
    """An aggregate of a column, or with the aggregator `group_by` a grouping."""

    column = serializers.CharField(max_length=300, required=False)
    aggregator = serializers.ChoiceField(AGGREGATORS)
    interval = serializers.CharField(max_length=30, required=False, help_text=INTERVAL_TEXT)
    frequency = serializers.ChoiceField(tuple(FREQUENCY_NAMES), required=False)

    def to_internal_value(self, data: Any) -> Target | Grouping:
        values = super().to_internal_value(data)
        grouped = values["aggregator"] == "group_by"
        if not grouped and values.keys() & {"interval", "frequency"}:
            raise ValidationError({"aggregator": "interval and frequency belong to 'group_by'."})
        if grouped:
            return _grouping(values)
        column = values.get("column", "event_id")
        if column == META.name and values["aggregator"] == "count":
            return Target(column, "count")
        _checked_column(column)
        if values["aggregator"] != "count" and column not in MEASURED[values["aggregator"]] and PREFIX not in column:
            raise ValidationError({"column": f"'{column}' has no '{values['aggregator']}'."})
        if values["aggregator"] == "avg" and column.startswith(PREFIX) and column.endswith(":string"):
            raise ValidationError({"column": f"'{column}' has no 'avg'."})
        if column.startswith(PREFIX) and values["aggregator"] != "count" and ":" not in column:
            column = f"{column}:numeric"
        return Target(column, values["aggregator"])


def _grouping(values: Mapping[str, Any]) -> Grouping:
    parts = values.keys() & {"interval", "frequency"}
    column = _checked_column(values.get("column", "create_time" if parts else ""))
    if parts and column not in TIMES:
        raise ValidationError({"column": f"'{column}' is no time."})
    if len(parts) == 2:
        raise ValidationError({"interval": "interval and frequency exclude each other."})
    if "frequency" in values:
        return Grouping(column, frequency=FREQUENCY_NAMES[values["frequency"]])
    if "interval" not in values:
        return Grouping(column)
    interval = _interval(values["interval"])
    if interval is None:
        raise ValidationError({"interval": f"{INTERVAL_TEXT} is required."})
    return Grouping(column, interval)


class GroupBySerializer(StrictSerializer):
    column = serializers.CharField(max_length=300, required=False)
    interval = serializers.CharField(max_length=30, required=False, help_text=INTERVAL_TEXT)
    frequency = serializers.ChoiceField(tuple(FREQUENCY_NAMES), required=False)

    def to_internal_value(self, data: Any) -> Grouping:
        return _grouping(super().to_internal_value(data))


@extend_schema_field({"type": "array", "items": {"type": "string"}, "maxItems": MAX_GROUPINGS})
class GroupByField(serializers.Field[Any, Any, Any, Any]):
    """One grouping or several. A string is a column, an interval (`1d`, `hour`) or a frequency (`day_of_week`)."""

    def to_internal_value(self, data: Any) -> list[Grouping]:
        given = data if isinstance(data, list) else [data]
        if len(given) > MAX_GROUPINGS:
            raise ValidationError(f"at most {MAX_GROUPINGS} groupings are allowed.")
        return [self._one(each) for each in given]

    def _one(self, given: Any) -> Grouping:
        if isinstance(given, dict):
            return GroupBySerializer().run_validation(given)  # type: ignore[no-any-return]
        if not isinstance(given, str):
            raise ValidationError("a string, an object or an array of them is required.")
        if given in FREQUENCIES:
            return Grouping("create_time", frequency=given)
        interval = _interval(given)
        return Grouping(_checked_column(given)) if interval is None else Grouping("create_time", interval)


class StatisticsBody(StrictSerializer):
    """Targets, groupings and conditions of statistics."""

    filters = ConditionsField(required=False, default=list)
    targets = serializers.ListField(child=TargetSerializer(), min_length=1, max_length=MAX_TARGETS)
    period = serializers.ListField(
        child=FilterTimeField(allow_null=True),
        required=False,
        max_length=2,
        help_text="Create time from (included) and to (excluded); null: open.",
    )
    group_by = GroupByField(required=False)
    time_zone = TimeZoneField(required=False, help_text="Of intervals and frequencies. Default: that of the account.")

    def to_internal_value(self, data: Any) -> dict[str, Question]:
        values = super().to_internal_value(data)
        targets = [each for each in values["targets"] if isinstance(each, Target)]
        groupings = [each for each in values["targets"] if isinstance(each, Grouping)] + values.get("group_by", [])
        groupings = list(dict.fromkeys(groupings))
        if len(groupings) > MAX_GROUPINGS:
            raise ValidationError({"group_by": f"at most {MAX_GROUPINGS} groupings are allowed."})
        if len({each.key for each in groupings}) < len(groupings):
            raise ValidationError({"group_by": "two groupings of one column have the same key in the answer."})
        filters = values["filters"]
        conditions = filters if isinstance(filters, list) else []
        question = Question(
            targets=tuple(dict.fromkeys(targets or [Target("event_id", "count")])),
            groupings=tuple(groupings),
            conditions=(*conditions, *_within(values.get("period", ()))),
            filters=filters if isinstance(filters, dict) else {},
            time_zone=values.get("time_zone", ""),
        )
        return {"question": question}


def _within(period: Sequence[datetime | None]) -> Iterator[AnyColumn]:
    for operator, bound in zip(("gte", "lt"), period, strict=False):
        if bound is not None:
            yield ColumnCondition("create_time", operator, bound)
