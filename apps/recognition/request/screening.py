"""Screening of faces: limits of angles, states and scores, and the reasons of a rejection."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.common.descriptors import Descriptor
from apps.recognition.checks.evaluate import ESTIMATION, CheckReport
from apps.recognition.checks.thresholds import Threshold
from apps.recognition.request.aggregation import event_columns
from apps.recognition.request.thresholds import PredictionThresholds
from apps.recognition.types import Face


@dataclass(frozen=True, slots=True)
class Reason:
    """Reason of a rejection."""

    filter_name: str
    object_value: object
    threshold_value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits for faces.

    `angles`: |pitch|, |roll|, |yaw| in degrees from which on faces are rejected. `states`: accepted numbers of the
    column, by estimation.
    `predictions`: thresholds of these states. `descriptor_score`: lowest accepted score, 0..1. `checks`: image checks
    to evaluate, by name; a failed check rejects the face only if `must_pass_checks`.
    """

    angles: Mapping[str, float] = field(default_factory=dict)
    states: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    predictions: PredictionThresholds = field(default_factory=PredictionThresholds)
    descriptor_score: float = 0.0
    checks: Mapping[str, Threshold] = field(default_factory=dict)
    unmeasured_passes: bool = False
    must_pass_checks: bool = False

    @property
    def estimators(self) -> frozenset[str]:
        """Names of the estimators that these limits need, besides the descriptor."""
        return frozenset(self.states) | ({"head_pose"} if self.angles else frozenset())


def screen(face: Face, limits: Limits) -> tuple[Reason, ...]:
    """Return the reasons of a rejection, empty for an accepted face. A missing estimation fails its limit."""
    return (
        *_angles(face, limits),
        *_states(face, limits),
        *_descriptor_score(face, limits),
        *_checks(face, limits),
    )


def _angles(face: Face, limits: Limits) -> list[Reason]:
    pose = face.estimations.get("head_pose")
    reasons = []
    for angle, threshold in limits.angles.items():
        value = getattr(pose, angle, None)
        if value is None or abs(value) >= threshold:
            reasons.append(Reason(f"{angle}_threshold", value, threshold))
    return reasons


def _states(face: Face, limits: Limits) -> list[Reason]:
    found = event_columns({name: face.estimations.get(name) for name in limits.states})
    return [
        Reason(f"{name}_states", found.get(name), list(numbers))
        for name, numbers in limits.states.items()
        if found.get(name) not in numbers
    ]


def _descriptor_score(face: Face, limits: Limits) -> list[Reason]:
    descriptor = face.estimations.get("face_descriptor")
    score = descriptor.score if isinstance(descriptor, Descriptor) else None
    if score is None or score >= limits.descriptor_score:
        return []
    return [Reason("fd_score_threshold", round(score, 4), limits.descriptor_score)]


def _checks(face: Face, limits: Limits) -> list[Reason]:
    report = face.estimations.get(ESTIMATION)
    if not limits.must_pass_checks or not isinstance(report, CheckReport):
        return []
    failed = [check for check in report.checks if not check.passed]
    return [Reason(check.name, check.value, check.threshold.json()) for check in failed]
