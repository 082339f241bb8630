"""Eyes open or closed, by a network of the task `eye_state`, else from the eyelids of the iris network.

The pack `recommended` has such a network (docs/estimators.md). Without one, and where it sees no eye, the widest gap
between the lids over the eye's width decides: open eyes of 40 photographed faces measure .20 to .45, four eyes that
look down with closed lids −.01 to .10, one smiling pair of slits .10 and .14; of 30 closed eyes it finds 10. `occluded`
needs a network of the task `face_occlusion` that tells eyes: none of the embedded set knows an eye behind dark glasses
or hair.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.eye_state import EyeStates, is_closed
from apps.recognition.estimators.face_occlusion import OCCLUDED_THRESHOLD, covered_parts
from apps.recognition.estimators.iris import INNER_CORNER, IRIS, LOWER_LID, OUTER_CORNER, UPPER_LID, Eye, Eyes
from apps.recognition.estimators.shapes import Json
from apps.recognition.types import Points

CLOSED_BELOW = 0.1
EYELID_POINTS = (0, 13, 11, 8, 5, 3)  # outer corner, two of the upper lid, inner corner, two of the lower lid
IRIS_EDGE_POINTS = 33


class EyeState(StrEnum):
    """What an eye shows."""

    OPEN = "open"
    CLOSED = "closed"
    OCCLUDED = "occluded"


@dataclass(frozen=True, slots=True, eq=False)
class EyeAttributes:
    """`openness`: lid gap over eye width. Points in picture pixels: `iris` float32 [34, 2], its centre and 33 points
    around its edge (the ellipse through the network's four); `eyelid` float32 [6, 2].
    """

    state: EyeState
    openness: float
    iris: Points
    eyelid: Points


@dataclass(frozen=True, slots=True, eq=False)
class EyesAttributes:
    """The person's left eye is the picture's right one."""

    left_eye: EyeAttributes
    right_eye: EyeAttributes


class EyesAttributesEstimator(Estimator):
    """Geometry of the iris network's points; which eyes are closed and which are covered where networks tell."""

    name = "eyes_attributes"
    needs = ("iris",)
    wants = ("eye_state", "face_occlusion")
    result = EyesAttributes

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[EyesAttributes]:
        """Of every face."""
        return [_both(subject) for subject in subjects]

    def json(self, result: EyesAttributes) -> Json:
        """`{left_eye, right_eye}`, each `{state, iris_landmarks, eyelid_landmarks}`."""
        return {"left_eye": _eye(result.left_eye), "right_eye": _eye(result.right_eye)}


def _eye(eye: EyeAttributes) -> Json:
    return {
        "state": eye.state.value,
        "iris_landmarks": shapes.pixels(eye.iris),
        "eyelid_landmarks": shapes.pixels(eye.eyelid),
    }


def openness(eye: Eye) -> float:
    """The widest gap between upper and lower lid over the eye's width; may fall below 0 where they cross."""
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
    """`closed`: what a network says, None without its word."""
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
