"""Gaze: direction of the eyes relative to the face, by the positions of the irises between the corners of the eyes.

Model, in eye widths: the eyeball's centre is C behind the line of the corners, and the pupil P in front of this centre.
If the head is rotated by h and the eye by g in the head, the iris is at x = −C·sin h + P·sin(h + g) from the middle of
the corners, and the distance of the corners appears as cos h. The result is the mean of both eyes. The vertical angle
is computed in the same way from the height of the iris at rest. C and P are those of an eye 27 mm wide: 6 mm from the
plane of the corners to the eyeball's centre, 10 mm from this centre to the iris.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.eyes_attributes import EyesAttributes, EyeState
from apps.recognition.estimators.head_pose import HeadPose
from apps.recognition.estimators.iris import INNER_CORNER, IRIS, OUTER_CORNER, Eye, Eyes

CENTRE_BEHIND_CORNERS = 0.22
PUPIL_BEFORE_CENTRE = 0.37
HEIGHT_AT_REST = 0.075  # eye widths above the line of the corners, for faces that look into the camera


@dataclass(frozen=True, slots=True)
class Gaze:
    """Gaze in degrees: positive pitch is up, positive yaw is to the image's right; zero is straight ahead."""

    pitch: float
    yaw: float


class GazeJson(TypedDict):
    """Direction in degrees."""

    pitch: float
    yaw: float


class GazeEstimator(Estimator):
    """Estimator by geometry of the iris network's points; None if both eyes are closed."""

    name = "gaze"
    needs = ("head_pose", "iris", "eyes_attributes")
    result = Gaze

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Gaze | None]:
        """Estimate each face."""
        return [
            gaze(subject.result("iris", Eyes), subject.result("head_pose", HeadPose))
            if _any_open(subject.result("eyes_attributes", EyesAttributes))
            else None
            for subject in subjects
        ]

    def json(self, result: Gaze) -> GazeJson:
        """Return `{pitch, yaw}`."""
        return {"pitch": shapes.degrees(result.pitch), "yaw": shapes.degrees(result.yaw)}


def _any_open(attributes: EyesAttributes) -> bool:
    return EyeState.OPEN in (attributes.left_eye.state, attributes.right_eye.state)


def gaze(eyes: Eyes, pose: HeadPose) -> Gaze:
    """Return the mean direction of both eyes in a head of this pose."""
    left, right = _iris_offset(eyes.left), _iris_offset(eyes.right)
    right_x, up = (left[0] - right[0]) / 2, -(left[1] + right[1]) / 2 - HEIGHT_AT_REST
    return Gaze(
        pitch=_eye_angle(up, pose.pitch, 1.0),
        yaw=_eye_angle(right_x, pose.yaw, float(np.cos(np.radians(pose.yaw)))),
    )


def _iris_offset(eye: Eye) -> tuple[float, float]:
    """Return x (outer to inner corner) and y (down) of the iris from the middle of the corners, in eye widths."""
    outer, inner = eye.crop[OUTER_CORNER], eye.crop[INNER_CORNER]
    offset = (eye.crop[IRIS][0] - (outer + inner) / 2) / max(float(np.linalg.norm(inner - outer)), 1.0)
    return float(offset[0]), float(offset[1])


def _eye_angle(offset: float, head_deg: float, foreshortening: float) -> float:
    head = np.radians(head_deg)
    sine = (offset * foreshortening + CENTRE_BEHIND_CORNERS * np.sin(head)) / PUPIL_BEFORE_CENTRE
    return float(np.degrees(np.arcsin(np.clip(sine, -1, 1)) - head))


ESTIMATOR = GazeEstimator()
