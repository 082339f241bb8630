"""Eyes open, closed or occluded, by a network of the task `eye_state`, or else by the eyelids of the iris network.

The pack `recommended` has such a network (docs/estimators.md). Without one, or if it detects no eye, the state depends
on the widest gap between the lids, relative to the width of the eye. Open eyes of 40 photographed faces measure .20 to
.45. Four eyes that look down with closed lids measure −.01 to .10, one smiling pair of slits .10 and .14. This detects
10 of 30 closed eyes. `occluded` needs a network of the task `face_occlusion` with labels of eyes, because no embedded
network detects dark glasses or hair in front of an eye.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypedDict

import numpy as np

from apps.common.json_types import OneOf
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.eye_state import EyeStates, is_closed
from apps.recognition.estimators.face_occlusion import OCCLUDED_THRESHOLD, covered_parts
from apps.recognition.estimators.iris import INNER_CORNER, IRIS, LOWER_LID, OUTER_CORNER, UPPER_LID, Eye, Eyes
from apps.recognition.types import Points, PointsJson

CLOSED_BELOW = 0.1
EYELID_POINTS = (0, 13, 11, 8, 5, 3)  # outer corner, two of the upper lid, inner corner, two of the lower lid
IRIS_EDGE_POINTS = 33


class EyeState(StrEnum):
    """State of an eye."""

    OPEN = "open"
    CLOSED = "closed"
    OCCLUDED = "occluded"


@dataclass(frozen=True, slots=True, eq=False)
class EyeAttributes:
    """One eye. `openness`: gap of the lids relative to the width of the eye. Points are in picture pixels.

    `iris`: float32 [34, 2], its centre and 33 points of its edge, on the ellipse through the network's four points.
    `eyelid`: float32 [6, 2].
    """

    state: EyeState
    openness: float
    iris: Points
    eyelid: Points


@dataclass(frozen=True, slots=True, eq=False)
class EyesAttributes:
    """Both eyes. Left and right are the person's: the left eye is the image-right one."""

    left_eye: EyeAttributes
    right_eye: EyeAttributes


class EyeJson(TypedDict):
    state: Annotated[str, OneOf(tuple(state.value for state in EyeState))]
    iris_landmarks: PointsJson
    eyelid_landmarks: PointsJson


class EyesAttributesJson(TypedDict):
    """The person's eyes."""

    left_eye: EyeJson
    right_eye: EyeJson


class EyesAttributesEstimator(Estimator):
    """Estimator by geometry of the iris network's points, and by the networks for closed and covered eyes."""

    name = "eyes_attributes"
    needs = ("iris",)
    wants = ("eye_state", "face_occlusion")
    result = EyesAttributes

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[EyesAttributes]:
        """Estimate each face."""
        return [_both(subject) for subject in subjects]

    def json(self, result: EyesAttributes) -> EyesAttributesJson:
        """Return `{left_eye, right_eye}`, each `{state, iris_landmarks, eyelid_landmarks}`."""
        return {"left_eye": _eye(result.left_eye), "right_eye": _eye(result.right_eye)}


def _eye(eye: EyeAttributes) -> EyeJson:
    return {
        "state": eye.state.value,
        "iris_landmarks": shapes.pixels(eye.iris),
        "eyelid_landmarks": shapes.pixels(eye.eyelid),
    }


def openness(eye: Eye) -> float:
    """Return the widest gap of the lids relative to the width of the eye; it is below 0 if the lids cross."""
    width = max(float(np.linalg.norm(eye.crop[INNER_CORNER] - eye.crop[OUTER_CORNER])), 1.0)
    return float((eye.crop[LOWER_LID, 1] - eye.crop[UPPER_LID, 1]).max()) / width


def _both(subject: Subject) -> EyesAttributes:
    eyes, covered = subject.result("iris", Eyes), covered_parts(subject)
    states = subject.results.get("eye_state")
    left, right = (is_closed(states.left), is_closed(states.right)) if isinstance(states, EyeStates) else (None, None)
    return EyesAttributes(
        left_eye=_attributes(eyes.right, right, covered.get("left_eye", 0.0)),
        right_eye=_attributes(eyes.left, left, covered.get("right_eye", 0.0)),
    )


def _attributes(eye: Eye, closed: bool | None, covered: float) -> EyeAttributes:
    """Return the attributes of one eye. `closed`: result of the network, None if unknown."""
    gap = openness(eye)
    state = EyeState.CLOSED if (gap < CLOSED_BELOW if closed is None else closed) else EyeState.OPEN
    if covered >= OCCLUDED_THRESHOLD:
        state = EyeState.OCCLUDED
    return EyeAttributes(state, gap, _iris_points(eye), eye.points[list(EYELID_POINTS)])


def _iris_points(eye: Eye) -> Points:
    centre, right, top, left, bottom = eye.points[IRIS]
    angles = np.linspace(0, 2 * np.pi, IRIS_EDGE_POINTS, endpoint=False)[:, None]
    edge = (right + left + top + bottom) / 4 + np.cos(angles) * (right - left) / 2 + np.sin(angles) * (bottom - top) / 2
    return np.concatenate([centre[None], edge]).astype(np.float32)


ESTIMATOR = EyesAttributesEstimator()
