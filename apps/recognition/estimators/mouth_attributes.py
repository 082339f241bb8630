"""Mouth open, and smiling.

Opened: the inner lips' gap over the distance from the eyes to the chin, which is ISO/IEC 29794-5's "mouth closed", on
the mesh. The standard's sigmoid has its one half at .2, where the mesh's gap seldom gets: of surprised faces it
measures .061 to .237, of closed mouths .060 at most. So one half is at .063, and at .1 for a smile alone: bared teeth
part the lips, too, and the smile's own checks tell them. Smile: the probability of happiness that
the emotion network gives, which told smiling from other mouths better than the mesh's mouth width and corners did.
Teeth: a smile whose lips part. `occluded` is what a network of the task `face_occlusion` says of the mouth; there is
none in the embedded set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.recognition.engine.mesh import CHIN, EYE_CORNERS, Mesh
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.emotions import Emotions
from apps.recognition.estimators.face_occlusion import covered_parts
from apps.recognition.estimators.measures import sigmoid
from apps.recognition.estimators.shapes import Json

UPPER_INNER_LIP, LOWER_INNER_LIP = (82, 13, 312), (87, 14, 317)
OPEN_CENTRE, OPEN_WIDTH = 0.063, 0.012
SMILING_CENTRE, SMILING_WIDTH = 0.1, 0.03
TEETH_CENTRE, TEETH_WIDTH = 0.04, 0.008  # lip gap: nine closed smiles up to .039, 15 bared ones from .040


@dataclass(frozen=True, slots=True)
class MouthAttributes:
    """Scores 0..1; `regular` and `with_teeth` add up to `smile`."""

    opened: float
    smile: float
    regular: float
    with_teeth: float
    occluded: float | None = None


class MouthAttributesEstimator(Estimator):
    """Geometry of the mesh, the emotion network's result, and that of the network that tells what is covered."""

    name = "mouth_attributes"
    needs = ("mesh", "emotions")
    wants = ("face_occlusion",)
    result = MouthAttributes

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[MouthAttributes]:
        """Of every face."""
        return [
            _mouth(
                lip_gap(subject.result("mesh", Mesh).shape),
                subject.result("emotions", Emotions).happiness,
                covered_parts(subject).get("mouth"),
            )
            for subject in subjects
        ]

    def json(self, result: MouthAttributes) -> Json:
        """`{opened, occluded, smile, properties}`; `occluded` is null where no network tells it."""
        kinds = {"none": 1 - result.smile, "regular": result.regular, "with_teeth": result.with_teeth}
        predominant: str = max(kinds, key=lambda kind: kinds[kind])
        return {
            "opened": shapes.score(result.opened),
            "occluded": None if result.occluded is None else shapes.score(result.occluded),
            "smile": shapes.score(result.smile),
            "properties": {
                "smile_type": {
                    "predominant_type": predominant,
                    "estimations": {
                        "regular": shapes.score(result.regular),
                        "with_teeth": shapes.score(result.with_teeth),
                    },
                }
            },
        }


def lip_gap(shape: NDArray[np.float32]) -> float:
    """The widest gap between the inner lips over the distance from the eyes' midpoint to the chin; `shape` [468, 3]."""
    gap = (shape[list(LOWER_INNER_LIP)] - shape[list(UPPER_INNER_LIP)])[:, 1].max()
    eyes = shape[[vertex for corners in EYE_CORNERS for vertex in corners]].mean(0)
    return float(max(gap, 0.0) / np.linalg.norm(eyes - shape[CHIN]))


def _opened(gap: float, smile: float) -> float:
    smiling = max(0.0, 2 * smile - 1)
    centre = OPEN_CENTRE + (SMILING_CENTRE - OPEN_CENTRE) * smiling
    return sigmoid(gap, centre, OPEN_WIDTH + (SMILING_WIDTH - OPEN_WIDTH) * smiling)


def _mouth(gap: float, smile: float, occluded: float | None) -> MouthAttributes:
    teeth = smile * sigmoid(gap, TEETH_CENTRE, TEETH_WIDTH)
    return MouthAttributes(
        opened=_opened(gap, smile),
        smile=smile,
        regular=smile - teeth,
        with_teeth=teeth,
        occluded=occluded,
    )


ESTIMATOR = MouthAttributesEstimator()
