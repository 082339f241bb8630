"""Which faces go on, and the reasons for the others."""

from dataclasses import dataclass

import numpy as np
import pytest

from apps.common.descriptors import Descriptor
from apps.recognition.estimators.head_pose import HeadPose
from apps.recognition.request.screening import Limits, Reason, screen
from apps.recognition.types import Face, Rect


@dataclass(frozen=True)
class MaskLike:
    predominant: str


def face(**estimations: object) -> Face:
    nothing = np.zeros((5, 2), np.float32)
    return Face(Rect(0, 0, 1, 1), 1.0, nothing, np.zeros((0, 0, 3), np.uint8), nothing, estimations)


def descriptor(*components: float, score: float = 1.0) -> Descriptor:
    return Descriptor(1, np.array(components, np.float32), score)


def test_without_limits_everybody_goes_on() -> None:
    assert screen(face(), Limits()) == ()


@pytest.mark.parametrize("yaw", [-29.9, 0.0, 29.9])
def test_angles_within(yaw: float) -> None:
    assert screen(face(head_pose=HeadPose(pitch=90, yaw=yaw, roll=90)), Limits(angles={"yaw": 30})) == ()


@pytest.mark.parametrize("yaw", [-30.0, 30.0, -30.1, 31.0])
def test_angles_beyond(yaw: float) -> None:
    reasons = screen(face(head_pose=HeadPose(pitch=0, yaw=yaw, roll=0)), Limits(angles={"yaw": 30, "roll": 10}))
    assert reasons == (Reason("yaw_threshold", yaw, 30),)


def test_what_was_not_estimated_does_not_pass() -> None:
    reasons = screen(face(), Limits(angles={"pitch": 10}, states={"mask": (1,)}))
    assert [(each.filter_name, each.object_value) for each in reasons] == [
        ("pitch_threshold", None),
        ("mask_states", None),
    ]


def test_masks() -> None:
    limits = Limits(states={"mask": (1, 3)})
    assert screen(face(mask=MaskLike("missing")), limits) == ()
    assert screen(face(mask=MaskLike("medical_mask")), limits) == (Reason("mask_states", 2, [1, 3]),)
    assert limits.estimators == {"mask"}


def test_scores_of_descriptors() -> None:
    limits = Limits(descriptor_score=0.5)
    assert screen(face(face_descriptor=descriptor(1, score=0.5)), limits) == ()
    assert screen(face(face_descriptor=descriptor(1, score=0.4)), limits) == (Reason("fd_score_threshold", 0.4, 0.5),)
