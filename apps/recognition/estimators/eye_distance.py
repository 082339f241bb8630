"""Distance between the eyes in the picture, a measure of the detail of a face.

It is the distance of the first two of the five landmarks, each the mean of an eye's corners. It is unknown for a warp,
because the scale of its picture is unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.source import is_warp
from apps.recognition.types import Points

DECIMALS = 2


@dataclass(frozen=True, slots=True)
class EyeDistance:
    """Eye distance in `pixels` of the decoded picture after its EXIF orientation."""

    pixels: float


class EyeDistanceJson(TypedDict):
    pixels: float


class EyeDistanceEstimator(Estimator):
    """Estimator by geometry, without a network of its own."""

    name = "eye_distance"
    result = EyeDistance

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[EyeDistance | None]:
        """Estimate each face; None for a warp."""
        return [None if is_warp(subject) else EyeDistance(eye_distance(subject.landmarks5)) for subject in subjects]

    def json(self, result: EyeDistance) -> EyeDistanceJson:
        """Return `{pixels}`."""
        return {"pixels": round(result.pixels, DECIMALS)}


def eye_distance(landmarks5: Points) -> float:
    """Return the distance of the first two of five landmarks, float32 [5, 2]."""
    left, right = landmarks5[:2]
    return float(np.linalg.norm(right - left))


ESTIMATOR = EyeDistanceEstimator()
