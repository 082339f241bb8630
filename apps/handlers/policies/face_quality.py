"""`face_quality` of detect_policy: checks of a face's picture and their thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction
from rest_framework import serializers

from apps.common.fields import FlagField, WholeNumberField
from apps.common.filters.kinds import FiniteFloatField
from apps.common.validation import StrictSerializer
from apps.handlers.policies.base import PolicySerializer
from apps.recognition.checks.table import CHECKS, own_thresholds
from apps.recognition.checks.thresholds import Between, Flag, OneOf, Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPolicy:
    """One check. `threshold` None uses the platform's own."""

    estimate: bool = True
    threshold: Threshold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceQualityPolicy:
    """Checks of a face. `filter`: a face that fails a check is rejected.

    A check that `checks` does not name uses the platform's threshold.
    """

    estimate: bool = False
    filter: bool = False
    checks: Mapping[str, CheckPolicy] = field(default_factory=dict)

    @property
    def thresholds(self) -> dict[str, Threshold]:
        """Thresholds of the enabled checks, by name."""
        if not self.estimate:
            return {}
        policies = {name: self.checks.get(name, CheckPolicy()) for name in CHECKS}
        own = own_thresholds()
        return {name: each.threshold or own[name] for name, each in policies.items() if each.estimate}


class RangeSerializer(StrictSerializer):
    """Range `{min, max}` within the domain of the value; a missing bound is the bound of the domain."""

    def __init__(self, domain: tuple[float | None, float | None]) -> None:
        super().__init__()
        self.domain = domain

    component = "Range"

    def get_fields(self) -> dict[str, Any]:
        low, high = self.domain
        return {
            side: FiniteFloatField(min_value=low, max_value=high, required=False, allow_null=True)
            for side in ("min", "max")
        }

    def to_internal_value(self, data: Any) -> tuple[float | None, float | None]:
        values = super().to_internal_value(data)
        low, high = values.get("min"), values.get("max")
        if low is not None and high is not None and low > high:
            raise serializers.ValidationError(f"'min' must be at most 'max', got {low} and {high}.")
        return low, high


class ThresholdField(serializers.Field[Threshold, Any, Any, Any]):
    """Threshold that replaces the platform's own: a range, an array of words, 0 or 1."""

    def __init__(self, name: str) -> None:
        super().__init__(required=False)
        self.name = name

    def to_internal_value(self, data: Any) -> Threshold:
        own = own_thresholds()[self.name]
        if isinstance(own, Between):
            return own.with_bounds(*RangeSerializer(own.domain).run_validation(data))
        if isinstance(own, OneOf):
            words = serializers.MultipleChoiceField(choices=own.words, allow_empty=False).run_validation(data)
            return replace(own, accepted=tuple(word for word in own.words if word in words))
        return Flag(WholeNumberField(min_value=0, max_value=1).run_validation(data))


class ThresholdFieldExtension(OpenApiSerializerFieldExtension):
    target_class = ThresholdField

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """Describe the threshold by the kind of the check's own."""
        own = own_thresholds()[self.target.name]
        if isinstance(own, Between):
            reference = auto_schema.resolve_serializer(RangeSerializer((None, None)), direction).ref
            return dict(reference)
        if isinstance(own, OneOf):
            return {"type": "array", "items": {"type": "string", "enum": list(own.words)}, "minItems": 1}
        return {"type": "integer", "minimum": 0, "maximum": 1}


class CheckSerializer(PolicySerializer):
    """One check. `threshold` replaces the platform's own."""

    policy = CheckPolicy
    estimate = FlagField(required=False)

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name = name
        super().__init__(**kwargs)

    @property
    def component(self) -> str:
        """Name of its component; checks with the same form of threshold share one."""
        own = own_thresholds()[self.name]
        if isinstance(own, OneOf):
            return f"{''.join(part.capitalize() for part in self.name.split('_'))}Check"
        return "RangeCheck" if isinstance(own, Between) else "FlagCheck"

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {"threshold": ThresholdField(self.name)}


class ChecksSerializer(StrictSerializer):
    """Checks by name."""

    def get_fields(self) -> dict[str, Any]:
        return {name: CheckSerializer(name, required=False) for name in CHECKS}


class FaceQualitySerializer(PolicySerializer):
    policy = FaceQualityPolicy
    estimate = FlagField(required=False)
    filter = FlagField(required=False)
    checks = ChecksSerializer(required=False)

    def validate(self, attrs: Any) -> Any:
        if attrs.filter and not attrs.estimate:
            raise serializers.ValidationError({"filter": "needs 'estimate'."})
        return attrs
