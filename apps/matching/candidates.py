"""Candidates in JSON: an origin with its filters."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common import parts
from apps.common.fields import account_field, ids_field
from apps.common.filters import EventFilterSerializer, Filters
from apps.common.filters.kinds import FiniteFloatField
from apps.common.filters.serializers import SEARCH_TERMS, filters_shown
from apps.common.parts import part_check
from apps.common.scope import Scope
from apps.common.validation import StrictSerializer, kept
from apps.faces.filters import FACE_TERMS, FaceFilterSerializer
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates, Speed

FACES, EVENTS, ATTRIBUTES = "faces", "events", "attributes"


class FaceCandidateFilters(FaceFilterSerializer):
    """Filters of stored faces."""

    strict = True
    origin = serializers.ChoiceField(choices=(FACES,), default=FACES)


class EventCandidateFilters(EventFilterSerializer):
    """Filters of stored events: all terms of event searches."""

    strict = True
    origin = serializers.ChoiceField(choices=(EVENTS,))
    account_id = account_field()


class BodyCandidateFilters(EventCandidateFilters):
    """Filters of candidates with bodies: stored events."""

    origin = serializers.ChoiceField(choices=(EVENTS,), default=EVENTS)


class AttributeCandidateFilters(StrictSerializer):
    """Filters of temporary attributes."""

    origin = serializers.ChoiceField(choices=(ATTRIBUTES,))
    attribute_ids = ids_field()
    account_id = account_field()


FILTERS: Mapping[str, type[serializers.Serializer[Any]]] = {
    FACES: FaceCandidateFilters,
    EVENTS: EventCandidateFilters,
    ATTRIBUTES: AttributeCandidateFilters,
}


class CandidateFiltersSerializer(EventFilterSerializer):
    """Filters of stored faces or events, or ids of temporary attributes, by `origin`.

    Each origin accepts its own filters only.
    """

    example: ClassVar[dict[str, Any]] = {"origin": FACES, "user_data": "Ada Lovelace"}
    free_members = True  # `meta.<path>`
    terms = {**SEARCH_TERMS, **FACE_TERMS}
    # Without defaults: generated clients would send them with faces, too.
    longitude_delta = FiniteFloatField(min_value=0, max_value=90, required=False)
    latitude_delta = FiniteFloatField(min_value=0, max_value=90, required=False)
    origin = serializers.ChoiceField(choices=tuple(FILTERS), default=FACES)
    account_id = account_field()
    attribute_ids = ids_field(required=False)


def candidate_filters_shown(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked filters of candidates in the types of the OpenAPI document."""
    return filters_shown(_shown(), given)


@cache
def _shown() -> CandidateFiltersSerializer:
    return CandidateFiltersSerializer()


@extend_schema_field(CandidateFiltersSerializer)
class CandidateFiltersField(serializers.Field[dict[str, Any], Any, Any, Any]):
    """Filters of the given `origin`; the default is `faces`."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        origin = data.get("origin", FACES) if isinstance(data, dict) else FACES
        if not isinstance(origin, str) or origin not in FILTERS:
            raise serializers.ValidationError({"origin": f"one of {', '.join(FILTERS)}."})
        values: dict[str, Any] = kept(FILTERS[origin]).run_validation(data)
        return values


def candidates_make(
    *,
    origin: str,
    scope: Scope,
    filters: Filters | None = None,
    attribute_ids: Sequence[UUID] = (),
    speed: Speed | None = None,
) -> Candidates:
    """Return the candidates of an origin: faces or events that pass `filters`, or attributes by id.

    Raises LunaError EVENTS_DISABLED for events while they are off.
    """
    if origin == ATTRIBUTES:
        return AttributeCandidates(scope=scope, attribute_ids=tuple(attribute_ids))
    if origin == EVENTS:
        part_check(parts.EVENTS)
        return EventCandidates(scope=scope, filters=filters or {})
    return FaceCandidates(scope=scope, filters=filters or {}, speed=speed)
