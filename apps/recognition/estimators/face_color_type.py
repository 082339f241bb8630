"""Colour type of a face, by its median chroma (CIELAB): colour or greyscale.

Of 58 faces those in colour measure 7 or more, grey ones 0, grey ones in colour JPEG 0 to 1. The result is never
`infrared`: a near-infrared picture without colour counts as greyscale. The contrast of lips and skin, which vanishes in
the infrared, was measured on the red channel of colour photographs. It does not separate the two (.79 in grey, .88 in
red, each ± .1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.crops import mesh_in_warp
from apps.recognition.estimators.measures import region
from apps.recognition.estimators.skin import cielab

COLOR, GRAYSCALE, INFRARED = FACE_COLOR_TYPES = ("color", "grayscale", "infrared")
GREY_BELOW = 3.0


@dataclass(frozen=True, slots=True)
class FaceColorType:
    """Colour type. `predominant`: one of `FACE_COLOR_TYPES`. `chroma`: CIELAB units."""

    predominant: str
    chroma: float

    @property
    def color_score(self) -> float:
        """Score of a face in colour, 0..1: .5 for a chroma of `GREY_BELOW`."""
        return min(1.0, self.chroma / (2 * GREY_BELOW))


class FaceColorTypeEstimator(Estimator):
    """Estimator by image statistics inside the hull of the mesh, without a network of its own."""

    name = "face_color_type"
    feature = "face_quality"
    needs = ("mesh",)

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[FaceColorType]:
        """Estimate each face."""
        return [_color_type(subject) for subject in subjects]


def _color_type(subject: Subject) -> FaceColorType:
    face = region(mesh_in_warp(subject), subject.warp.shape[:2])
    colours = cielab(subject.warp[face])
    chroma = float(np.median(np.hypot(colours[:, 1], colours[:, 2]))) if len(colours) else 0.0
    return FaceColorType(GRAYSCALE if chroma < GREY_BELOW else COLOR, chroma)


ESTIMATOR = FaceColorTypeEstimator()
