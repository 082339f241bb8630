"""Sets of objects to compare: filters of faces, events and attributes in the contents of tasks, by their origin."""

from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.config import PlatformLimits, config
from apps.common.config.platform import CrossMatchLimits
from apps.common.fields import ItemsAtMost
from apps.common.filters.kinds import AnyField
from apps.common.filters.language import ANY_OF
from apps.common.scope import Scope
from apps.matching.candidates import (
    ATTRIBUTES,
    EVENTS,
    FACES,
    AttributeCandidateFilters,
    CandidateFiltersSerializer,
    EventCandidateFilters,
    FaceCandidateFilters,
    candidates_make,
)
from apps.matching.types import Candidates
from apps.tasks.filters import scope_narrowed, source_check

OBJECT_IDS = frozenset({"face_ids", "event_ids", "attribute_ids"})
MAX_SETS = 30


def cross_limits() -> CrossMatchLimits:
    """Return the limits of cross-matching."""
    return config(PlatformLimits).cross_match


def _ids_limit() -> int:
    return cross_limits().array_filter_limit


def _short_limit() -> int:
    return cross_limits().short_array_filter_limit


class _CrossLimits(serializers.Serializer[Any]):
    """Filters with the limits of cross-matching instead of those of requests."""

    def get_fields(self) -> dict[str, AnyField]:
        fields: dict[str, AnyField] = super().get_fields()
        for name, field in fields.items():
            limit = ItemsAtMost(_ids_limit if name in OBJECT_IDS else _short_limit)
            field.validators = [limit if isinstance(each, ItemsAtMost) else each for each in field.validators]
        return fields


class _Faces(_CrossLimits, FaceCandidateFilters):
    """Filters of faces."""


class _Events(_CrossLimits, EventCandidateFilters):
    """Filters of events."""


class _Attributes(_CrossLimits, AttributeCandidateFilters):
    """Ids of temporary attributes."""


SETS: Mapping[str, type[serializers.Serializer[Any]]] = {FACES: _Faces, EVENTS: _Events, ATTRIBUTES: _Attributes}


@extend_schema_field(CandidateFiltersSerializer(many=True))
class SetsField(serializers.Field[Any, Any, Any, Any]):
    """Filters of sets of objects: an array, or one object. An object of several sets counts once."""

    def to_internal_value(self, data: Any) -> list[dict[str, Any]]:
        given = data if isinstance(data, list) else [data]
        if not 1 <= len(given) <= MAX_SETS:
            raise serializers.ValidationError(f"1 to {MAX_SETS} filters are required, got {len(given)}.")
        return [self._checked(number, each) for number, each in enumerate(given)]

    def _checked(self, number: int, data: Any) -> dict[str, Any]:
        try:
            origin = data.get("origin", FACES) if isinstance(data, dict) else FACES
            if not isinstance(origin, str) or origin not in SETS:
                raise serializers.ValidationError({"origin": f"one of {', '.join(SETS)}."})
            values: dict[str, Any] = SETS[origin](context=dict(self.context)).run_validation(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({str(number): error.detail}) from error
        return {"filters": {}, "attribute_ids": [], **values}


def sets_make(given: Sequence[Mapping[str, Any]], *, scope: Scope) -> list[Candidates]:
    """Return the objects of checked filters as sets without a common object.

    Raises LunaError EVENTS_SOURCE_DISABLED, FOREIGN_ACCOUNT_ID for an account outside the scope or two different ones.
    """
    scope = scope_narrowed(scope, [each.get("account_id") for each in given])
    found = []
    for origin in dict.fromkeys(each["origin"] for each in given):
        source_check(origin)
        own = [each for each in given if each["origin"] == origin]
        filters = own[0]["filters"] if len(own) == 1 else {ANY_OF: tuple(each["filters"] for each in own)}
        ids = tuple(dict.fromkeys(one for each in own for one in each["attribute_ids"]))
        found.append(candidates_make(origin=origin, scope=scope, filters=filters, attribute_ids=ids))
    return found
