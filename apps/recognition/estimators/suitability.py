"""Suitability of a warp for matching: the descriptor's `score`, 0..1.

The score is a product of factors for detail (blur, size, noise), light, covered parts and rotation. A factor is the
cosine of SFace's descriptors between a good picture and one with a single degradation: medians of 54 faces in 15
degradations. docs/similarity.md shows the relation of the score to the match rate. All measurements use only the warp
and its five landmarks, so a stored sample has the score of its photograph.

Two measurements detect covered parts. The landmarks of detector and mesh differ by .08 eye distances on bare faces and
by .18 on masked ones. Eyes behind dark glasses have .12 of the cheeks' brightness, bare eyes .67.
"""

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.detection import Detection, Window, overlapping, resized
from apps.recognition.engine.heads.base import Head
from apps.recognition.estimators.measures import MIDDLE, SHARPNESS_SIZE_PX
from apps.recognition.types import WARP_SIZE_PX, Image, Points

Curve = tuple[tuple[float, float], ...]  # pairs of measurement and factor, linear between them

# Detail: log10 of the ratio of the Laplacian's variance to the luminance's variance. Good pictures −.7, 16 px between
# the eyes −1.3, 10 px −1.6, Gaussian blur of a twelfth of the eye distance −2.2, noise of 40 grey levels 0.
BLUR: Curve = ((-2.6, 0.5), (-2.2, 0.7), (-1.6, 0.9), (-1.3, 0.96), (-1.0, 1.0))
NOISE: Curve = ((-0.35, 1.0), (0.0, 0.85), (0.3, 0.7))
# Standard deviation in grey levels: 6 for a picture with .15 of its light, 3 for .07.
CONTRAST: Curve = ((1.0, 0.3), (3.0, 0.7), (6.0, 0.9), (12.0, 1.0))
WHITE: Curve = ((0.1, 1.0), (0.4, 0.8), (0.8, 0.55))  # overexposed share of the face
POINTS_APART: Curve = ((0.11, 1.0), (0.18, 0.8), (0.25, 0.6), (0.45, 0.4))  # eye distances
EYES: Curve = ((0.12, 0.75), (0.27, 0.8), (0.45, 1.0))  # brightness relative to the cheeks
CERTAINTY: Curve = ((0.0, 0.5), (0.5, 0.75), (0.95, 0.99), (1.2, 1.0))
ASIDE: Curve = ((0.35, 1.0), (0.5, 0.75), (0.7, 0.4))  # nose to the middle of the eyes, in eye distances
PATCH = 0.2  # eye distances around a point
NEARLY_WHITE = 250
FACE_BOX = np.array([65.0, 45.0, 185.0, 205.0], np.float32)  # box of detectors in the warp template


def detector_crops(warps: Sequence[Image], head: Head) -> NDArray[np.uint8]:
    """Return the inputs of the face detector for warps, uint8 RGB [N, side, side, 3]."""
    return np.stack([resized(warp, head.face_side / WARP_SIZE_PX) for warp in warps])


def suitability(
    warps: Sequence[Image],
    landmarks5: Sequence[Points],
    detected: Callable[[], Mapping[str, NDArray[np.float32]]],
    head: Head,
) -> list[float]:
    """Return the score of each warp, uint8 RGB [250, 250, 3], with its five landmarks.

    `detected`: waits for the outputs of the face detector for `detector_crops`. Pixels are measured before.
    """
    side = head.face_side
    places = [Window(0, 0, side / WARP_SIZE_PX)] * len(warps)
    factors = [_of_warp(warp, points) for warp, points in zip(warps, landmarks5, strict=True)]
    found = [
        overlapping(FACE_BOX, each) for each in head.decode(detected(), places, (side, side), head.candidate_score)
    ]
    return [
        float(np.prod([*of_warp, *_of_detection(detection, points, head)]))
        for of_warp, points, detection in zip(factors, landmarks5, found, strict=True)
    ]


def factor(value: float, curve: Curve) -> float:
    """Return the curve's factor at a value; beyond its ends, the factor of the end."""
    points = np.array(curve)
    return float(np.interp(value, points[:, 0], points[:, 1]))


def _of_warp(warp: Image, points: Points) -> tuple[float, ...]:
    grey = np.asarray(cv2.cvtColor(warp, cv2.COLOR_RGB2GRAY), np.uint8)
    return (*_of_pixels(grey), *_of_face(grey, points))


def _of_pixels(warp: NDArray[np.uint8]) -> tuple[float, float, float]:
    grey = resized(warp, SHARPNESS_SIZE_PX / WARP_SIZE_PX).astype(np.float32)
    middle = grey[MIDDLE]
    detail = float(np.log10(cv2.Laplacian(grey, cv2.CV_32F)[MIDDLE].var() / (middle.var() + 1) + 1e-6))
    return (
        factor(detail, BLUR) * factor(detail, NOISE),
        factor(float(middle.std()), CONTRAST),
        factor(float((middle > NEARLY_WHITE).mean()), WHITE),
    )


def _of_face(grey: NDArray[np.uint8], points: Points) -> tuple[float, float]:
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    across = right_eye - left_eye
    distance = max(float(np.linalg.norm(across)), 1.0)
    eyes = _brightness(grey, (left_eye, right_eye), distance)
    cheeks = _brightness(grey, ((left_eye + left_mouth) / 2, (right_eye + right_mouth) / 2), distance)
    aside = abs(float((nose - (left_eye + right_eye) / 2) @ across)) / distance**2
    return factor(eyes / (cheeks + 1), EYES), factor(aside, ASIDE)


def _brightness(grey: NDArray[np.uint8], centres: Sequence[NDArray[np.float32]], distance: float) -> float:
    """Return the mean brightness 0..255 of squares around points of the warp."""
    reach = max(1, round(PATCH * distance))
    patches = []
    for x, y in np.clip(np.round(centres), 0, WARP_SIZE_PX - 1).astype(int):
        patches.append(grey[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].mean())
    return float(np.mean(patches))


def _of_detection(found: Detection | None, points: Points, head: Head) -> tuple[float, float]:
    if found is None:
        return factor(0.0, CERTAINTY), factor(1.0, POINTS_APART)
    certainty = (found.score - head.score_threshold) / (head.certain_score - head.score_threshold)
    if not head.five_points:
        return factor(certainty, CERTAINTY), 1.0
    distance = max(float(np.linalg.norm(points[1] - points[0])), 1.0)
    apart = float(np.linalg.norm(found.keypoints - points, axis=1).mean()) / distance
    return factor(certainty, CERTAINTY), factor(apart, POINTS_APART)
