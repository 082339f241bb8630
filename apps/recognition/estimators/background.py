"""Lightness and uniformity of the background behind the head.

No network segments the person, so geometry defines the background. It is the part of a window of eight eye distances
around the face that is above the mouth, outside of an ellipse around head and hair, and inside of the picture. The
window is aligned with the eyes and scaled to 60 pixels between them, which makes pictures of all sizes comparable.

Lightness is the mean luminance. Uniformity is that of ISO/IEC 29794-5: the mean gradient (Sobel, luminance 0..255)
through OFIQ's sigmoid, scaled to 0..1. The scale is lenient: of 58 faces none is below .68, plain walls are above .9,
and only a rough texture is below .5. Hair outside of the ellipse counts as background.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.geometry import Matrix, apply, resample, square_transform
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.measures import luminance, sigmoid
from apps.recognition.estimators.source import is_warp

EYE_DISTANCE_PX = 60
WINDOW_EYE_DISTANCES = 8
SIZE_PX = EYE_DISTANCE_PX * WINDOW_EYE_DISTANCES
HEAD_HALF_WIDTH, HEAD_ABOVE_EYES, MOUTH_BELOW_EYES = 1.75, 2.35, 1.15  # eye distances, including hair
EDGE_PX = 5  # excluded, because the edge of the picture has a gradient
LEAST_SHARE = 0.02  # minimum share of the window; with less the background is unknown
GRADIENT_HEIGHT, GRADIENT_CENTRE, GRADIENT_WIDTH = 1.9, 10.0, 100.0


@dataclass(frozen=True, slots=True)
class Background:
    """Background. `lightness`: 0 (black) to 1 (white). `uniformity`: 0..1, 1 is uniform."""

    lightness: float
    uniformity: float


class BackgroundEstimator(Estimator):
    """Estimator by image statistics, without a network of its own."""

    name = "background"
    feature = "face_quality"

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Background | None]:
        """Estimate each face of a picture; None for warps, and if almost no background is visible."""
        return [None if is_warp(subject) else _background(subject) for subject in subjects]


def _background(subject: Subject) -> Background | None:
    left_eye, right_eye = subject.landmarks5[:2]
    across = right_eye - left_eye
    side = max(1.0, float(np.linalg.norm(across))) * WINDOW_EYE_DISTANCES
    angle = float(np.arctan2(across[1], across[0]))
    matrix = square_transform((left_eye + right_eye) / 2, side, angle, SIZE_PX)
    behind = BESIDE_HEAD & _inside_of_picture(matrix, subject)
    if behind.mean() < LEAST_SHARE:
        return None
    brightness = luminance(resample(subject.image, matrix, SIZE_PX))
    scaled = brightness * 255
    gradient = np.hypot(cv2.Sobel(scaled, cv2.CV_32F, 1, 0), cv2.Sobel(scaled, cv2.CV_32F, 0, 1))
    uniformity = GRADIENT_HEIGHT * sigmoid(float(gradient[behind].mean()), GRADIENT_CENTRE, -GRADIENT_WIDTH)
    return Background(lightness=float(brightness[behind].mean()), uniformity=min(1.0, uniformity))


def _beside_head() -> NDArray[np.bool_]:
    """Return the mask of background in the window, which is upright and has the eyes' midpoint in its centre."""
    rows, columns = (np.mgrid[:SIZE_PX, :SIZE_PX] - (SIZE_PX - 1) / 2) / EYE_DISTANCE_PX
    head = np.hypot(columns / HEAD_HALF_WIDTH, np.minimum(rows, 0) / HEAD_ABOVE_EYES) < 1
    mask: NDArray[np.bool_] = ~head & (rows < MOUTH_BELOW_EYES)
    return mask


def _inside_of_picture(matrix: Matrix, subject: Subject) -> NDArray[np.bool_]:
    height, width = subject.image.shape[:2]
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
    mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    cv2.fillConvexPoly(mask, np.round(apply(matrix, corners)).astype(np.int32), 1)
    return cv2.erode(mask, np.ones((EDGE_PX, EDGE_PX), np.uint8)).astype(np.bool_)


BESIDE_HEAD = _beside_head()
ESTIMATOR = BackgroundEstimator()
