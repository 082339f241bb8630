"""Distance between the middles of the eyes in the picture: how much detail of the face it can hold.

Measured between the first two of the five landmarks, each the mean of an eye's corners. A warp has lost the scale of
its picture: its distance is unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.shapes import Json
from apps.recognition.estimators.source import is_warp
from apps.recognition.types import Points

DECIMALS = 2


@dataclass(frozen=True, slots=True)
class EyeDistance:
    """`pixels`: of the decoded, oriented picture."""

    pixels: float


class EyeDistanceEstimator(Estimator):
    """Geometry; no network of its own."""

    name = "eye_distance"
    result = EyeDistance

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[EyeDistance | None]:
        """Of every face; None of a warp."""
        return [None if is_warp(subject) else EyeDistance(eye_distance(subject.landmarks5)) for subject in subjects]

    def json(self, result: EyeDistance) -> Json:
        """`{pixels}`."""
        return {"pixels": round(result.pixels, DECIMALS)}


def eye_distance(landmarks5: Points) -> float:
    """Distance of the first two of five landmarks, float32 [5, 2]."""
    left, right = landmarks5[:2]
    return float(np.linalg.norm(right - left))


ESTIMATOR = EyeDistanceEstimator()
