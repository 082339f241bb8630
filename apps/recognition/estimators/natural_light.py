"""Natural light: is the skin's colour one that daylight or white light gives?

ISO/IEC 29794-5's natural colour, as OFIQ measures it: the mean colour of the squares on both cheeks in CIELAB (D50),
its distance from a* 5..25, b* 5..35, and a sigmoid of it; 0 for grey pictures and for negative a* or b*. Here 0..1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.measures import sigmoid
from apps.recognition.estimators.skin import cheek_pixels, cielab

SKIN_A, SKIN_B = (5.0, 25.0), (5.0, 35.0)
DISTANCE_WIDTH = 10.0
NATURAL_FROM = 0.5


@dataclass(frozen=True, slots=True)
class NaturalLight:
    """`score` 0..1, 1 = natural."""

    score: float

    @property
    def natural(self) -> bool:
        """Is it rather natural?"""
        return self.score >= NATURAL_FROM


class NaturalLightEstimator(Estimator):
    """Image statistics; no network of its own."""

    name = "natural_light"
    feature = "face_quality"

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[NaturalLight]:
        """Of every face."""
        return [_natural_light(subject) for subject in subjects]


def _natural_light(subject: Subject) -> NaturalLight:
    pixels = cheek_pixels(subject.warp, subject.warp_landmarks5)
    if bool((pixels == pixels[:, :1]).all()):  # grey
        return NaturalLight(0.0)
    _, a, b = cielab(pixels.mean(0))
    if a < 0 or b < 0:
        return NaturalLight(0.0)
    distance = float(np.hypot(_outside(a, SKIN_A), _outside(b, SKIN_B)))
    return NaturalLight(2 * sigmoid(distance, 0.0, -DISTANCE_WIDTH))


def _outside(value: float, bounds: tuple[float, float]) -> float:
    return max(0.0, bounds[0] - value, value - bounds[1])


ESTIMATOR = NaturalLightEstimator()
