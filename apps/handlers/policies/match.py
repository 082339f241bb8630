"""match_policy: whom a face is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from apps.accounts.principal import Principal
from apps.common.api.fields import FilterTimeField
from apps.common.api.validation import StrictSerializer
from apps.common.errors import LunaError
from apps.common.filters import EventFilterSerializer, Filters
from apps.faces.types import FaceFilters
from apps.handlers.policies.base import MAX_LABEL_CHARACTERS, FiltersSerializer, PolicySerializer
from apps.handlers.policies.detect import score_field

MAX_CANDIDATES = 100
DEFAULT_CANDIDATES = 3
MAX_IDS = 1000
FACES, EVENTS = "faces", "events"
FACE_TARGETS = (
    "face_id", "account_id", "event_id", "user_data", "create_time", "external_id", "avatar", "lists",
)  # fmt: skip
EVENT_TARGETS = ("event_id", "account_id", "external_id", "user_data", "create_time", "handler_id", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Faces or events. `account_id`: whose, None for the own account's."""

    origin: str
    account_id: UUID | None = None
    faces: FaceFilters = field(default_factory=FaceFilters)
    events: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchPolicy:
    """The best `limit` candidates of at least `threshold` (0..1) under a `label`, when `filters` hold.

    `targets`: which members of a candidate the answer shows; none for all.
    """

    label: str
    candidates: Candidates
    limit: int = DEFAULT_CANDIDATES
    threshold: float = 0.0
    targets: frozenset[str] = frozenset()
    filters: Filters = field(default_factory=dict)


def ids_field(child: serializers.Field[Any, Any, Any, Any] | None = None) -> serializers.ListField:
    return serializers.ListField(
        child=child or serializers.UUIDField(), allow_empty=False, max_length=MAX_IDS, required=False
    )


class FaceCandidatesSerializer(StrictSerializer):
    """Filters of origin `faces`."""

    origin = serializers.ChoiceField(choices=(FACES,), default=FACES)
    account_id = serializers.UUIDField(required=False)
    face_ids = ids_field()
    external_ids = ids_field(serializers.CharField(max_length=36))
    event_ids = ids_field()
    list_id = serializers.UUIDField(required=False)
    user_data = serializers.CharField(max_length=128, required=False)
    create_time__gte = FilterTimeField(required=False)
    create_time__lt = FilterTimeField(required=False)
    face_id__gte = serializers.UUIDField(required=False)
    face_id__lt = serializers.UUIDField(required=False)

    def to_internal_value(self, data: Any) -> Candidates:
        values = super().to_internal_value(data)
        filters: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return Candidates(
            origin=filters.pop("origin"), account_id=filters.pop("account_id", None), faces=FaceFilters(**filters)
        )


class EventCandidatesSerializer(EventFilterSerializer):
    """Filters of origin `events`: everything that events are searched by."""

    strict = True
    origin = serializers.ChoiceField(choices=(EVENTS,))
    account_id = serializers.UUIDField(required=False)

    def to_internal_value(self, data: Any) -> Candidates:  # type: ignore[override]
        values = super().to_internal_value(data)
        return Candidates(origin=EVENTS, account_id=values.get("account_id"), events=values["filters"])


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="PolicyCandidates",
        serializers=[FaceCandidatesSerializer, EventCandidatesSerializer],
        resource_type_field_name=None,
    )
)
class CandidatesField(serializers.Field[Candidates, Any, Any, Any]):
    """`origin` says which filters are understood."""

    def to_internal_value(self, data: Any) -> Candidates:
        origin = data.get("origin", FACES) if isinstance(data, Mapping) else FACES
        serializer = EventCandidatesSerializer() if origin == EVENTS else FaceCandidatesSerializer()
        candidates: Candidates = serializer.run_validation(data)
        return candidates


class TargetsField(serializers.ListField):
    """Names of members of a candidate."""

    def to_internal_value(self, data: Any) -> frozenset[str]:  # type: ignore[override]
        return frozenset(super().to_internal_value(data))


class MatchPolicySerializer(PolicySerializer):
    policy = MatchPolicy
    label = serializers.CharField(max_length=MAX_LABEL_CHARACTERS)  # type: ignore[assignment]  # DRF takes it out
    candidates = CandidatesField()
    limit = serializers.IntegerField(min_value=1, max_value=MAX_CANDIDATES, required=False)
    threshold = score_field()
    targets = TargetsField(child=serializers.CharField(), max_length=30, required=False)
    filters = FiltersSerializer(required=False)

    def validate(self, attrs: Any) -> Any:
        known = {*(EVENT_TARGETS if attrs.candidates.origin == EVENTS else FACE_TARGETS), "similarity"}
        if unknown := sorted(attrs.targets - known):
            raise serializers.ValidationError({"targets": f"'{unknown[0]}' is not one of {', '.join(sorted(known))}."})
        return attrs


def candidates_account(candidates: Candidates, principal: Principal) -> UUID:
    """Whose candidates these are. Raises LunaError 11069 for an account that the principal may not see."""
    account_id = candidates.account_id or principal.account_id
    if account_id != principal.account_id and not principal.sees_all_accounts:
        raise LunaError(11069, "match_policy")
    return account_id
