"""Image quality of a face, measured on its warp inside the hull of the mesh; 1 is best.

dark, light: both sides of ISO/IEC 29794-5's luminance mean (sigmoids at .2 and .8 of the mean luminance).
illumination: illumination uniformity of this standard, the overlap of both cheeks' luminance histograms to the power
.3. blurriness: `measures.sharpness`, our own measure. specularity: exp(−share / .05) of bright, colourless pixels (HSV
value of at least 245, saturation below 60 of 255), our own measure: .06 to .1 for faces lit by flash, .9 or more for
others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.crops import mesh_in_warp
from apps.recognition.estimators.measures import luminance, region, sharpness, sigmoid
from apps.recognition.types import Points

DARK_CENTRE, LIGHT_CENTRE, LUMINANCE_WIDTH = 0.2, 0.8, 0.05
UNIFORMITY_POWER = 0.3
GLARE_VALUE, GLARE_SATURATION, GLARE_SHARE = 245, 60, 0.05
CHEEK_SIDE = 0.3  # share of the eye distance


@dataclass(frozen=True, slots=True)
class Quality:
    """Scores 0..1, 1 is best: `light` is 1 for a face that is not too bright, `dark` for one that is not too dark."""

    blurriness: float
    dark: float
    illumination: float
    light: float
    specularity: float


class QualityJson(TypedDict):
    """Quality of a face's picture: 0 to 1, 1 is best."""

    blurriness: float
    dark: float
    illumination: float
    specularity: float
    light: float


class QualityEstimator(Estimator):
    """Estimator by image statistics, without a network of its own."""

    name = "quality"
    needs = ("mesh",)
    result = Quality

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Quality]:
        """Estimate each face."""
        return [_quality(subject) for subject in subjects]

    def json(self, result: Quality) -> QualityJson:
        """Return the scores by name."""
        return {
            "blurriness": shapes.score(result.blurriness),
            "dark": shapes.score(result.dark),
            "illumination": shapes.score(result.illumination),
            "specularity": shapes.score(result.specularity),
            "light": shapes.score(result.light),
        }


def _quality(subject: Subject) -> Quality:
    brightness = luminance(subject.warp)
    face = region(mesh_in_warp(subject), subject.warp.shape[:2])
    mean = float(brightness[face].mean()) if face.any() else 0.0
    hsv = cv2.cvtColor(subject.warp, cv2.COLOR_RGB2HSV)
    glare = (hsv[..., 2] >= GLARE_VALUE) & (hsv[..., 1] < GLARE_SATURATION)
    share = float(glare[face].mean()) if face.any() else 0.0
    return Quality(
        blurriness=sharpness(subject.warp),
        dark=sigmoid(mean, DARK_CENTRE, LUMINANCE_WIDTH),
        illumination=uniformity(brightness, subject.warp_landmarks5),
        light=sigmoid(mean, LIGHT_CENTRE, -LUMINANCE_WIDTH),
        specularity=float(np.exp(-share / GLARE_SHARE)),
    )


def uniformity(brightness: NDArray[np.float32], landmarks5: Points) -> float:
    """Return the illumination uniformity 0..1 of squares on both cheeks.

    `brightness`: float32 [H, W] 0..1 of the warp.
    """
    left_eye, right_eye = landmarks5[0], landmarks5[1]
    side = int(CHEEK_SIDE * np.linalg.norm(right_eye - left_eye))
    drop = int(np.linalg.norm(landmarks5[3:].mean(0) - landmarks5[:2].mean(0)) / 2)
    left = _histogram(brightness, int(left_eye[0]) - side, int(left_eye[1]) + drop, side)
    right = _histogram(brightness, int(right_eye[0]), int(right_eye[1]) + drop, side)
    return float(np.minimum(left, right).sum() ** UNIFORMITY_POWER)


def _histogram(brightness: NDArray[np.float32], x: int, y: int, side: int) -> NDArray[np.float64]:
    square = brightness[max(0, y) : y + side, max(0, x) : x + side]
    counts = np.bincount(np.rint(square * 255).astype(np.intp).ravel(), minlength=256).astype(np.float64)
    return counts / max(1.0, float(counts.sum()))


ESTIMATOR = QualityEstimator()
