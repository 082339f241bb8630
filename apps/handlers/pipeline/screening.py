"""Which faces go on: the thresholds and states of detect_policy and extract_policy."""

from apps.common.filters.words import Mask, Number
from apps.handlers.policies import Policies
from apps.handlers.types import Reason
from apps.recognition.estimators.face_descriptor import Descriptor
from apps.recognition.types import Face


def screen(face: Face, policies: Policies) -> tuple[Reason, ...]:
    """Why a face does not go on; empty when it does. An estimation that is not there passes no filter for it."""
    return (*_angles(face, policies), *_masks(face, policies), *_descriptor_score(face, policies))


def _angles(face: Face, policies: Policies) -> list[Reason]:
    pose = face.estimations.get("head_pose")
    reasons = []
    for angle, threshold in policies.detect_policy.angle_thresholds.items():
        value = getattr(pose, angle, None)
        if value is None or abs(value) > threshold:
            reasons.append(Reason(f"{angle}_threshold", value, threshold))
    return reasons


def _masks(face: Face, policies: Policies) -> list[Reason]:
    states = policies.detect_policy.mask_states
    value = predominant(face.estimations.get("mask"), Mask)
    return [Reason("mask_states", value, list(states))] if states and value not in states else []


def _descriptor_score(face: Face, policies: Policies) -> list[Reason]:
    threshold = policies.extract_policy.fd_score_threshold
    descriptor = face.estimations.get("face_descriptor")
    if not threshold or not isinstance(descriptor, Descriptor) or descriptor.score >= threshold:
        return []
    return [Reason("fd_score_threshold", round(descriptor.score, 4), threshold)]


def predominant(estimation: object, numbers: type[Number]) -> int | None:
    """The number of an estimation's predominant word; None without an estimation."""
    word = getattr(estimation, "predominant", None)
    return None if word is None else int(numbers.of(word))
