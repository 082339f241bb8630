"""Serializer fields of the whole API."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.validators import MaxLengthValidator, MaxValueValidator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from apps.common.config import PlatformLimits, config
from apps.common.times import parse_filter_time, time_zones

NULL = "null"  # in filters: not estimated, or not given
UUID_FORM = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


class AtMost(MaxValueValidator):
    """The upper bound of a number, read from the settings when a value is validated.

    It does not apply to stored values (context `stored`), which a lowered setting would make unreadable. Their use
    applies the setting.
    """

    requires_context = True

    def __init__(self, limit: Callable[[], int]) -> None:
        self.limit = limit

    def __call__(self, value: int, field: serializers.Field[Any, Any, Any, Any]) -> None:  # type: ignore[override]
        if not field.context.get("stored"):
            super().__call__(value)

    @property
    def limit_value(self) -> int:
        return self.limit()


class ItemsAtMost(MaxLengthValidator):
    """The most items of an array, read from the settings when a value is validated."""

    message = "Ensure this field has no more than %(limit_value)d elements."

    def __init__(self, limit: Callable[[], int]) -> None:
        self.limit = limit

    @property
    def limit_value(self) -> int:
        return self.limit()


class PlainNumber(serializers.Field[Any, Any, Any, Any]):
    """A mixin of number fields: rejects booleans, digits of other scripts and `1_000`, which `int` reads as numbers."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool) or (isinstance(data, str) and ("_" in data or not data.isascii())):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumberField(PlainNumber, serializers.IntegerField):
    """A whole number, also as a text of digits."""

    def to_internal_value(self, data: Any) -> int:
        value: int = super().to_internal_value(data)
        return value


class SettingIntegerField(WholeNumberField):
    """A whole number from 1 to `limit`; `limit` and `default` are read from the settings at each validation."""

    _limit: Callable[[], int] | None = None

    def __init__(self, *, limit: Callable[[], int], default: Any = serializers.empty, **kwargs: Any) -> None:
        super().__init__(min_value=1, validators=[AtMost(limit)], default=default, **kwargs)
        self._limit = limit

    @property
    def max_value(self) -> int | None:
        """The bound in the schema; `AtMost` checks it."""
        return None if self._limit is None else self._limit()

    @max_value.setter
    def max_value(self, value: int | None) -> None:
        pass

    @property
    def default(self) -> Any:
        """The value instead of the function that reads it, so that the schema shows it."""
        return self._default if self._default is serializers.empty else self._default()

    @default.setter
    def default(self, value: Any) -> None:
        self._default = value


def _max_ids() -> int:
    return config(PlatformLimits).match.array_filter_limit


@extend_schema_field(OpenApiTypes.STR)
class FilterTimeField(serializers.Field[datetime, str, str, Any]):
    """A time in a filter: RFC 3339 or `now-<n><s|m|h|d|w|M|y>`. `now` of the context: the time it counts from."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"help_text": "RFC 3339, or relative such as `now-7d`", **kwargs})

    def to_internal_value(self, data: str) -> datetime:
        if not isinstance(data, str):
            raise serializers.ValidationError("a time must be a string.")
        try:
            return parse_filter_time(data, self.context.get("now"))
        except ValueError as error:
            raise serializers.ValidationError(f"{error}.") from error

    def to_representation(self, value: datetime) -> str:
        return value.isoformat()


class TimeZoneField(serializers.CharField):
    """A name of the IANA time zone database, such as `Europe/Berlin`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=64, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        name = str(super().to_internal_value(data))
        if name not in time_zones():
            raise serializers.ValidationError(f"'{name}' is no time zone, such as Europe/Berlin.")
        return name


class UUIDField(serializers.UUIDField):
    """A UUID in its canonical form. DRF's field also accepts numbers, braces and `urn:`."""

    def to_internal_value(self, data: Any) -> UUID:
        value = parse_uuid(data)
        if value is None:
            self.fail("invalid", value=data)
        return value


class FlagField(WholeNumberField):
    """A boolean of the platform: 0 or 1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=1, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Check the bounds of the number before converting it to a boolean."""
        value = super().run_validation(int(data) if isinstance(data, bool) else data)
        return value if value is None else bool(value)


class _NoSurrogates(ProhibitSurrogateCharactersValidator):
    """DRF's check of each character, for texts that are not ASCII: it takes .1 ms for a 512-d descriptor in Base64."""

    def __call__(self, value: str) -> None:
        if not value.isascii():
            super().__call__(value)


class TextField(serializers.CharField):
    """A string that is stored unchanged. Numbers are rejected."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "allow_blank": True, "required": False} | kwargs)
        own = ProhibitSurrogateCharactersValidator
        self.validators = [_NoSurrogates() if isinstance(each, own) else each for each in self.validators]

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


def ids_field(**kwargs: Any) -> serializers.ListField:
    """Return a field for an array of UUIDs: at least 1, at most `array_filter_limit` (1000)."""
    if "max_length" not in kwargs:
        kwargs["validators"] = [ItemsAtMost(_max_ids)]
    return serializers.ListField(child=UUIDField(), **{"min_length": 1} | kwargs)


class CommaListField(serializers.ListField):
    """A query parameter with several values, `a,b,c`; repeated parameters are joined.

    In OpenAPI this is an array with `style: form, explode: false`, which `LunaSchema` writes.
    """

    def __init__(self, **kwargs: Any) -> None:
        if "max_length" not in kwargs:
            kwargs["validators"] = [ItemsAtMost(_max_ids)]
        super().__init__(**kwargs)

    def get_value(self, dictionary: Any) -> Any:
        if hasattr(dictionary, "getlist"):
            if self.field_name not in dictionary:
                return super(serializers.ListField, self).get_value({})
            return ",".join(dictionary.getlist(self.field_name))
        return super().get_value(dictionary)

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, str):
            data = [part.strip() for part in data.split(",") if part.strip()]
        return super().to_internal_value(data)


def account_field() -> UUIDField:
    """Return the parameter `account_id` of queries, which `read_scope` applies."""
    return UUIDField(required=False, help_text="Account of the objects, within the client's scope. Default: its own.")


def targets_field() -> CommaListField:
    """Return the parameter `targets` of queries."""
    return CommaListField(
        child=serializers.CharField(), default=(), help_text="Members of the response. Default: all but descriptors."
    )


def uuid_list(**kwargs: Any) -> CommaListField:
    """Return a field for comma-separated UUIDs."""
    return CommaListField(child=UUIDField(), required=False, **kwargs)


def shown(field: serializers.Field[Any, Any, Any, Any], given: Any) -> Any:
    """Return a checked value of a client in the type of the OpenAPI document, for answers that repeat it.

    Flags and enumerations become numbers, one value of a list becomes a list. Times and texts stay as they are.
    """
    if isinstance(field, serializers.ListField):
        if isinstance(given, str):
            given = [part.strip() for part in given.split(",") if part.strip()]
        items = given if isinstance(given, list) else [given]
        return [shown(field.child, item) for item in items]
    if given is None or (field.allow_null and given == NULL):
        return None
    if isinstance(field, serializers.Serializer):
        return {name: shown(field.fields[name], value) for name, value in given.items() if value is not None}
    if isinstance(given, bool):
        return int(given)
    if isinstance(field, serializers.IntegerField | serializers.FloatField | serializers.ChoiceField):
        return field.to_internal_value(given)
    return given


def parse_uuid(text: object) -> UUID | None:
    """Parse a UUID in its canonical form of 36 characters. Return None for anything else."""
    return UUID(text) if isinstance(text, str) and UUID_FORM.fullmatch(text) else None
