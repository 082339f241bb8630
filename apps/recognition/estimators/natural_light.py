"""Natural light, by the colour of the skin under daylight or white light.

The measure is "natural colour" of ISO/IEC 29794-5 as in OFIQ, scaled to 0..1. It is a sigmoid of the distance of the
cheeks' mean colour in CIELAB (D50) from a* 5..25, b* 5..35. It is 0 for grey pictures, and for negative a* or b*.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.measures import sigmoid
from apps.recognition.estimators.skin import cheek_pixels, cielab

SKIN_A, SKIN_B = (5.0, 25.0), (5.0, 35.0)
DISTANCE_WIDTH = 10.0


@dataclass(frozen=True, slots=True)
class NaturalLight:
    """Natural light. `score`: 0..1, 1 is natural."""

    score: float


class NaturalLightEstimator(Estimator):
    """Estimator by image statistics, without a network of its own."""

    name = "natural_light"
    feature = "face_quality"

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[NaturalLight]:
        """Estimate each face."""
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
