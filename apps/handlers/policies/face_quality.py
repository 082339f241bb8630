"""face_quality of detect_policy: which checks a picture of a face must pass, and within which thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rest_framework import serializers

from apps.common.api.fields import FlagField
from apps.common.api.validation import StrictSerializer, refuse_unknown
from apps.common.filters.kinds import FiniteFloatField
from apps.handlers.policies.base import PolicySerializer

RANGES = (
    "head_yaw", "head_pitch", "head_roll", "gaze_yaw", "gaze_pitch", "eye_distance", "mouth_smiling", "mouth_occluded",
    "mouth_open", "illumination_quality", "specularity_quality", "blurriness_quality", "dark_quality", "light_quality",
    "background_lightness", "background_uniformity", "head_horizontal_center", "head_vertical_center", "head_width",
    "head_height", "image_width", "image_height", "illumination_uniformity", "dynamic_range", "image_size",
    "indent_upper", "indent_lower", "indent_left", "indent_right", "aspect_ratio", "face_width", "face_height",
)  # fmt: skip
CHOICES: Mapping[str, tuple[str, ...]] = {
    "left_eye": ("open", "closed", "occluded"),
    "right_eye": ("open", "closed", "occluded"),
    "smile_properties": ("none", "smile_lips", "smile_teeth"),
    "glasses": ("no_glasses", "eyeglasses", "sunglasses"),
    "eyebrows_state": ("neutral", "raised", "squinting", "frowning"),
    "headwear_type": (
        "none", "baseball_cap", "beanie", "peaked_cap", "shawl", "hat_with_ear_flaps", "helmet", "hood", "hat", "other",
    ),
    "face_color_type": ("color", "grayscale", "infrared"),
    "shoulders_position": ("parallel", "non-parallel", "hidden"),
    "image_format": ("JPEG", "JPEG2000", "PNG", "BMP", "TIFF", "PPM"),
}  # fmt: skip
FLAGS = ("red_eyes", "natural_light", "radial_distortion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`threshold`: (min, max) with None for unbounded, accepted values, 0 or 1; None for the platform's own."""

    estimate: bool = True
    threshold: tuple[float | None, float | None] | tuple[str, ...] | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceQualityPolicy:
    """Checks that are not named are made with the platform's thresholds. `filter`: faces that fail do not go on."""

    estimate: bool = False
    filter: bool = False
    checks: Mapping[str, Check] = field(default_factory=dict)


class RangeSerializer(StrictSerializer):
    """`{min, max}`; the side that is missing is unbounded."""

    min = FiniteFloatField(required=False, allow_null=True)
    max = FiniteFloatField(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> tuple[float | None, float | None]:
        values = super().to_internal_value(data)
        low, high = values.get("min"), values.get("max")
        if low is not None and high is not None and low > high:
            raise serializers.ValidationError("'min' is above 'max'.")
        return low, high


class ChoicesField(serializers.ListField):
    """Accepted values."""

    def to_internal_value(self, data: Any) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(super().to_internal_value(data))


def threshold_field(name: str) -> Any:
    if name in CHOICES:
        child = serializers.ChoiceField(choices=CHOICES[name])
        return ChoicesField(child=child, allow_empty=False, max_length=len(CHOICES[name]), required=False)
    if name in FLAGS:
        return serializers.IntegerField(min_value=0, max_value=1, required=False)
    return RangeSerializer(required=False)


class CheckSerializer(PolicySerializer):
    policy = Check
    estimate = FlagField(required=False)

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name = name
        super().__init__(**kwargs)

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {"threshold": threshold_field(self.name)}


class ChecksSerializer(serializers.Serializer[Any]):
    """Checks by name."""

    def get_fields(self) -> dict[str, Any]:
        return {name: CheckSerializer(name, required=False) for name in (*RANGES, *CHOICES, *FLAGS)}

    def to_internal_value(self, data: Any) -> Any:
        refuse_unknown(data, set(self.fields))
        return super().to_internal_value(data)


class FaceQualitySerializer(PolicySerializer):
    policy = FaceQualityPolicy
    estimate = FlagField(required=False)
    filter = FlagField(required=False)
    checks = ChecksSerializer(required=False)
