"""Illumination uniformity of ISO/IEC 29794-5: overlap of both cheeks' luminance histograms to the power .3.

It is the same measure as `quality.illumination`, for checks of a picture's light. A warp gives None, as on the
platform.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.measures import luminance
from apps.recognition.estimators.quality import uniformity
from apps.recognition.estimators.source import is_warp


@dataclass(frozen=True, slots=True)
class IlluminationUniformity:
    """Illumination uniformity. `score`: 0..1, 1 if both sides are equal."""

    score: float


class IlluminationUniformityEstimator(Estimator):
    """Estimator by image statistics, without a network of its own."""

    name = "illumination_uniformity"
    feature = "face_quality"

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[IlluminationUniformity | None]:
        """Estimate each face of a picture; None for warps."""
        return [
            None
            if is_warp(subject)
            else IlluminationUniformity(uniformity(luminance(subject.warp), subject.warp_landmarks5))
            for subject in subjects
        ]


ESTIMATOR = IlluminationUniformityEstimator()
