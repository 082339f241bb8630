"""detect_policy: detections, estimations and the limits for persons."""

from dataclasses import dataclass, field, replace
from typing import Any

from rest_framework import serializers

from apps.common.fields import FlagField, WholeNumberField
from apps.common.filters.enums import Deepfake, Liveness, Mask, Number
from apps.common.filters.kinds import FiniteFloatField, NumberField
from apps.handlers.policies.base import PolicySerializer
from apps.handlers.policies.face_quality import FaceQualityPolicy, FaceQualitySerializer
from apps.recognition.request.build import ANGLES, MAX_ANGLE_DEGREES, angle_field
from apps.recognition.request.thresholds import PredictionThresholds
from apps.recognition.types import MultifacePolicy
from apps.recognition.vocabulary import Kind, policy_flags

FULL_MODE = 2  # value of `mode` of `estimate_deepfake`

FACE_FLAGS = policy_flags(Kind.FACE)
BODY_FLAGS = policy_flags(Kind.BODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class LivenessPolicy:
    """Liveness. Thresholds 0..1, None for the platform's own; states are numbers of `enums.Liveness`."""

    estimate: bool = False
    liveness_threshold: float | None = None
    quality_threshold: float | None = None
    liveness_states: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepfakePolicy:
    """Deepfake. Threshold 0..1 of `real`, None for the platform's own; states are numbers of `enums.Deepfake`.

    `mode` 2 runs the preliminary network on the face in its picture first, if it is installed; `mode` 1 does not.
    """

    estimate: bool = False
    real_threshold: float | None = None
    mode: int = FULL_MODE
    deepfake_states: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectPolicy:
    """Detection and estimation of persons. Angle thresholds are in degrees; 180 accepts all angles.

    `shown`: estimators whose results the response contains. Empty states accept all states.
    """

    detect_face: bool = True
    detect_body: bool = False
    multiface_policy: MultifacePolicy = MultifacePolicy.ALL
    shown: frozenset[str] = frozenset()
    extract_exif: bool = False
    estimate_people_count: bool = False
    people_count_coordinates: bool = False
    pitch_threshold: float = MAX_ANGLE_DEGREES
    roll_threshold: float = MAX_ANGLE_DEGREES
    yaw_threshold: float = MAX_ANGLE_DEGREES
    mask_states: tuple[int, ...] = ()
    estimate_liveness: LivenessPolicy = LivenessPolicy()
    estimate_deepfake: DeepfakePolicy = DeepfakePolicy()
    face_quality: FaceQualityPolicy = field(default_factory=FaceQualityPolicy)

    @property
    def angles(self) -> dict[str, float]:
        """Thresholds in degrees by name of the angle."""
        return {angle: getattr(self, f"{angle}_threshold") for angle in ANGLES}

    @property
    def predictions(self) -> PredictionThresholds:
        return PredictionThresholds(
            liveness=self.estimate_liveness.liveness_threshold,
            liveness_quality=self.estimate_liveness.quality_threshold,
            deepfake=self.estimate_deepfake.real_threshold,
            deepfake_first_look=self.estimate_deepfake.mode == FULL_MODE,
        )

    @property
    def estimators(self) -> frozenset[str]:
        """Names of the estimators that run even if no limit needs them."""
        return self.shown | {"people_count"} if self.estimate_people_count else self.shown

    @property
    def needing_pictures(self) -> list[str]:
        """Names of the members that request an estimation, a check or a limit."""
        asks = {
            **{flag: name in self.shown for flag, name in FACE_FLAGS.items()},
            "body_attributes": bool(self.shown & set(BODY_FLAGS.values())),
            "estimate_people_count": self.estimate_people_count,
            "extract_exif": self.extract_exif,
            "estimate_liveness": self.estimate_liveness.estimate,
            "estimate_deepfake": self.estimate_deepfake.estimate,
            "face_quality": self.face_quality.estimate,
            **{f"{angle}_threshold": limit < MAX_ANGLE_DEGREES for angle, limit in self.angles.items()},
            "mask_states": bool(self.mask_states),
            "liveness_states": bool(self.estimate_liveness.liveness_states),
            "deepfake_states": bool(self.estimate_deepfake.deepfake_states),
        }
        return [name for name, asked in asks.items() if asked]


class StatesField(serializers.ListField):
    """Array of accepted states; an empty array is an error."""

    def __init__(self, numbers: type[Number]) -> None:
        super().__init__(child=NumberField(numbers=numbers), allow_empty=False, max_length=len(numbers), required=False)

    def to_internal_value(self, data: Any) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(super().to_internal_value(data))


def score_field() -> FiniteFloatField:
    return FiniteFloatField(min_value=0, max_value=1, required=False)


class LivenessPolicySerializer(PolicySerializer):
    policy = LivenessPolicy
    estimate = FlagField(required=False)
    liveness_threshold = score_field()
    quality_threshold = score_field()
    liveness_states = StatesField(Liveness)


class DeepfakePolicySerializer(PolicySerializer):
    policy = DeepfakePolicy
    estimate = FlagField(required=False)
    real_threshold = score_field()
    mode = WholeNumberField(min_value=1, max_value=FULL_MODE, required=False)
    deepfake_states = StatesField(Deepfake)


class BodyAttributesPolicySerializer(PolicySerializer):
    """Flags that select the estimations of a body."""

    def get_fields(self) -> dict[str, Any]:
        return {flag: FlagField(default=False) for flag in BODY_FLAGS}

    @staticmethod
    def policy(**flags: bool) -> frozenset[str]:  # type: ignore[override]
        return frozenset(BODY_FLAGS[flag] for flag, on in flags.items() if on)


class DetectPolicySerializer(PolicySerializer):
    defaults = DetectPolicy
    detect_face = FlagField(required=False)
    detect_body = FlagField(required=False)
    multiface_policy = serializers.ChoiceField(choices=[(each.value, each.name) for each in MultifacePolicy], default=1)
    extract_exif = FlagField(required=False)
    estimate_people_count = FlagField(required=False)
    people_count_coordinates = FlagField(required=False)
    pitch_threshold = angle_field(required=False)
    roll_threshold = angle_field(required=False)
    yaw_threshold = angle_field(required=False)
    mask_states = StatesField(Mask)
    liveness_states = StatesField(Liveness)
    deepfake_states = StatesField(Deepfake)
    estimate_liveness = LivenessPolicySerializer(default=LivenessPolicy)
    estimate_deepfake = DeepfakePolicySerializer(default=DeepfakePolicy)
    body_attributes = BodyAttributesPolicySerializer(default=frozenset)
    face_quality = FaceQualitySerializer(required=False)

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {flag: FlagField(default=False) for flag in FACE_FLAGS}

    @staticmethod
    def policy(**values: Any) -> DetectPolicy:  # type: ignore[override]
        """Build the policy: join the flags of estimators in one set, and accept both places of states."""
        shown = {name for flag, name in FACE_FLAGS.items() if values.pop(flag)}
        bodies = values.pop("body_attributes")
        for name in ("liveness", "deepfake"):
            member, estimate = f"{name}_states", f"estimate_{name}"
            if states := values.pop(member, ()):
                if getattr(values[estimate], member) not in ((), states):
                    raise serializers.ValidationError({member: f"The states must equal those in '{estimate}'."})
                values[estimate] = replace(values[estimate], **{member: states})
        shown |= {"liveness"} if values["estimate_liveness"].estimate else set()
        shown |= {"deepfake"} if values["estimate_deepfake"].estimate else set()
        values["multiface_policy"] = MultifacePolicy(values["multiface_policy"])
        policy = DetectPolicy(**values)
        if policy.face_quality.estimate:
            shown.add("face_quality")
        return replace(policy, shown=frozenset(shown | (bodies if policy.detect_body else frozenset())))

    def validate(self, attrs: Any) -> Any:
        if not attrs.detect_face and not attrs.detect_body:
            raise serializers.ValidationError({"detect_face": "'detect_face' or 'detect_body' must be 1."})
        return attrs
