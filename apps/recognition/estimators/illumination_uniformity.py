"""Illumination uniformity of ISO/IEC 29794-5: the overlap of both cheeks' luminance histograms to the power .3.

The same measure as `quality.illumination`, by which it is called where a picture's own light is checked; a warp is
refused (None), as the platform has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.measures import luminance
from apps.recognition.estimators.quality import uniformity
from apps.recognition.estimators.source import is_warp


@dataclass(frozen=True, slots=True)
class IlluminationUniformity:
    """`score` 0..1, 1 = both sides alike."""

    score: float


class IlluminationUniformityEstimator(Estimator):
    """Image statistics; no network of its own."""

    name = "illumination_uniformity"
    feature = "face_quality"

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[IlluminationUniformity | None]:
        """Of every face in a picture; None for warps."""
        return [
            None
            if is_warp(subject)
            else IlluminationUniformity(uniformity(luminance(subject.warp), subject.warp_landmarks5))
            for subject in subjects
        ]


ESTIMATOR = IlluminationUniformityEstimator()
