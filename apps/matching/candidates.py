"""Candidates in JSON: an origin with its filters."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from apps.common.fields import UUIDField, ids_field
from apps.common.filters import EventFilterSerializer, Filters
from apps.common.scope import Scope
from apps.common.validation import StrictSerializer
from apps.faces.filters import FaceFilterSerializer
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates

FACES, EVENTS, ATTRIBUTES = "faces", "events", "attributes"


class FaceCandidateFilters(FaceFilterSerializer):
    """Filters of stored faces."""

    strict = True
    origin = serializers.ChoiceField(choices=(FACES,), default=FACES)


class EventCandidateFilters(EventFilterSerializer):
    """Filters of stored events: all terms of event searches."""

    strict = True
    origin = serializers.ChoiceField(choices=(EVENTS,))
    account_id = UUIDField(required=False)


class BodyCandidateFilters(EventCandidateFilters):
    """Filters of candidates with bodies: stored events."""

    origin = serializers.ChoiceField(choices=(EVENTS,), default=EVENTS)


class AttributeCandidateFilters(StrictSerializer):
    """Filters of temporary attributes."""

    origin = serializers.ChoiceField(choices=(ATTRIBUTES,))
    attribute_ids = ids_field()
    account_id = UUIDField(required=False)


FILTERS: Mapping[str, type[serializers.Serializer[Any]]] = {
    FACES: FaceCandidateFilters,
    EVENTS: EventCandidateFilters,
    ATTRIBUTES: AttributeCandidateFilters,
}


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="CandidateFilters", serializers=list(FILTERS.values()), resource_type_field_name=None
    )
)
class CandidateFiltersField(serializers.Field[dict[str, Any], Any, Any, Any]):
    """Filters of the given `origin`; the default is `faces`."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        origin = data.get("origin", FACES) if isinstance(data, dict) else FACES
        if not isinstance(origin, str) or origin not in FILTERS:
            raise serializers.ValidationError({"origin": f"one of {', '.join(FILTERS)}."})
        values: dict[str, Any] = FILTERS[origin]().run_validation(data)
        return values


def candidates_make(
    *, origin: str, scope: Scope, filters: Filters | None = None, attribute_ids: Sequence[UUID] = ()
) -> Candidates:
    """Return the candidates of an origin: faces or events that pass `filters`, or attributes by id."""
    if origin == ATTRIBUTES:
        return AttributeCandidates(scope=scope, attribute_ids=tuple(attribute_ids))
    kind = EventCandidates if origin == EVENTS else FaceCandidates
    return kind(scope=scope, filters=filters or {})
