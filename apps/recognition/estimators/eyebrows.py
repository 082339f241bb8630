"""Eyebrows neutral, raised, squinting or frowning, by the height of the mesh's brows above the eyes.

The height is the distance from the middle of an eye's corners to the middle of its brow, averaged over both eyes. It is
relative to the distance from the eyes' midpoint to the chin. The middle 90 % of 58 faces are between .145 and .235;
women's and painted brows are higher than men's. Only values outside of this range differ from neutral.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.mesh import CHIN, EYE_CORNERS, Mesh
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.eyes_attributes import EyesAttributes

BROWS = ((70, 63, 105, 66, 107), (300, 293, 334, 296, 336))  # of the image-left and the image-right eye
RAISED_FROM, LOWERED_BELOW = 0.245, 0.15
NARROWED_BELOW = 0.22  # openness of the eyes below which brows are squinting or frowning
EYEBROW_STATES = ("neutral", "raised", "squinting", "frowning")


@dataclass(frozen=True, slots=True)
class Eyebrows:
    """Eyebrows. `state`: one of `EYEBROW_STATES`. `height`: relative height, see the module."""

    state: str
    height: float


class EyebrowsEstimator(Estimator):
    """Estimator by geometry of the mesh and the openness of the eyes, without a network of its own."""

    name = "eyebrows"
    feature = "face_quality"
    needs = ("mesh", "eyes_attributes")

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Eyebrows]:
        """Estimate each face."""
        return [
            eyebrows(subject.result("mesh", Mesh).shape, subject.result("eyes_attributes", EyesAttributes))
            for subject in subjects
        ]


def eyebrows(shape: NDArray[np.float32], eyes: EyesAttributes) -> Eyebrows:
    """Estimate one face. `shape`: [468, 3] of its mesh."""
    height = _brow_height(shape)
    openness = (eyes.left_eye.openness + eyes.right_eye.openness) / 2
    if height >= RAISED_FROM:
        return Eyebrows("raised", height)
    if height >= LOWERED_BELOW:
        return Eyebrows("neutral", height)
    return Eyebrows("squinting" if openness < NARROWED_BELOW else "frowning", height)


def _brow_height(shape: NDArray[np.float32]) -> float:
    corners = [shape[list(pair)].mean(0) for pair in EYE_CORNERS]
    heights = [(corner - shape[list(brow)].mean(0))[1] for corner, brow in zip(corners, BROWS, strict=True)]
    return float(np.mean(heights) / np.linalg.norm(np.mean(corners, axis=0) - shape[CHIN]))


ESTIMATOR = EyebrowsEstimator()
