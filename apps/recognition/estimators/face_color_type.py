"""Colour or greyscale: the median chroma (CIELAB) of the face.

Colour faces of 58 measure 7 and more, grey ones 0, grey ones in colour JPEG 0 to 1. `infrared` is never said: a near
infrared picture without colour counts as greyscale. The contrast of lips and skin, which vanishes in the infrared, was
tried on the red channel of colour photographs and does not tell the two apart (.79 of grey, .88 of red, each ± .1).
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
    """`predominant`: one of `FACE_COLOR_TYPES`; `chroma`: CIELAB units."""

    predominant: str
    chroma: float


class FaceColorTypeEstimator(Estimator):
    """Image statistics inside the hull of the mesh; no network of its own."""

    name = "face_color_type"
    feature = "face_quality"
    needs = ("mesh",)

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[FaceColorType]:
        """Of every face."""
        return [_color_type(subject) for subject in subjects]


def _color_type(subject: Subject) -> FaceColorType:
    face = region(mesh_in_warp(subject), subject.warp.shape[:2])
    colours = cielab(subject.warp[face])
    chroma = float(np.median(np.hypot(colours[:, 1], colours[:, 2]))) if len(colours) else 0.0
    return FaceColorType(GRAYSCALE if chroma < GREY_BELOW else COLOR, chroma)


ESTIMATOR = FaceColorTypeEstimator()
