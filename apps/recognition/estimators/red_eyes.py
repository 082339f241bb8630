"""Red eyes: red pupils, as a flash causes them.

The measure is the share of bright red pixels in the inner three fifths of the iris's radius. Bright red: red is at
least 100 of 255, twice green and twice blue, and green and blue differ by at most a quarter of red. Brown irises under
warm lamps are orange or dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.iris import IRIS, Eye, Eyes
from apps.recognition.types import Image

PUPIL_RADIUS = 0.6  # share of the iris's radius
BRIGHT, TIMES_OTHERS, HUE_SPREAD = 100, 2.0, 0.25
RED_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class RedEyes:
    """Red eyes. `share`: 0..1, share of red pixels in the pupil of the redder eye."""

    share: float

    @property
    def score(self) -> float:
        """Score of red eyes, 0..1: .5 for a share of `RED_SHARE`."""
        return min(1.0, self.share / (2 * RED_SHARE))


class RedEyesEstimator(Estimator):
    """Estimator by colours inside the iris network's points."""

    name = "red_eyes"
    feature = "face_quality"
    needs = ("iris",)

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[RedEyes]:
        """Estimate each face."""
        return [
            RedEyes(max(red_share(subject.image, eye) for eye in _eyes(subject.result("iris", Eyes))))
            for subject in subjects
        ]


def _eyes(eyes: Eyes) -> tuple[Eye, Eye]:
    return eyes.left, eyes.right


def red_share(image: Image, eye: Eye) -> float:
    """Return the share of red pixels in the pupil, 0 for an eye outside of the picture."""
    centre, edge = eye.points[IRIS][0], eye.points[IRIS][1:]
    radius = max(1.0, float(np.linalg.norm(edge - centre, axis=1).mean()) * PUPIL_RADIUS)
    left, top = np.maximum(np.floor(centre - radius), 0).astype(int)
    right, bottom = np.maximum(np.ceil(centre + radius) + 1, 0).astype(int)
    part = image[top:bottom, left:right].astype(np.float32)
    y, x = np.mgrid[: part.shape[0], : part.shape[1]]
    pupil = part[np.hypot(x + left - centre[0], y + top - centre[1]) <= radius]
    if not len(pupil):
        return 0.0
    red, green, blue = pupil.T
    shines = (red >= BRIGHT) & (red >= TIMES_OTHERS * np.maximum(green, blue)) & (abs(green - blue) <= HUE_SPREAD * red)
    return float(shines.mean())


ESTIMATOR = RedEyesEstimator()
