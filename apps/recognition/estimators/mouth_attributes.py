"""Mouth: open, smiling, occluded.

Open: the gap of the inner lips relative to the distance from the eyes to the chin, on the mesh. This is the measure
"mouth closed" of ISO/IEC 29794-5. The standard's sigmoid is one half at .2, which the mesh's gap rarely reaches: it is
.061 to .237 for surprised faces and at most .060 for closed mouths. The sigmoid here is one half at .063, and at .1 for
a smile, because bared teeth also part the lips.

Smile: the emotion network's probability of happiness, which separates smiles better than width and corners of the
mesh's mouth. Teeth: a smile with parted lips. `occluded` is the result of a network of the task `face_occlusion`, which
the embedded set lacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray

from apps.common.json_types import OneOf
from apps.recognition.engine.mesh import CHIN, EYE_CORNERS, Mesh
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.emotions import Emotions
from apps.recognition.estimators.face_occlusion import covered_parts
from apps.recognition.estimators.measures import sigmoid

UPPER_INNER_LIP, LOWER_INNER_LIP = (82, 13, 312), (87, 14, 317)
OPEN_CENTRE, OPEN_WIDTH = 0.063, 0.012
SMILING_CENTRE, SMILING_WIDTH = 0.1, 0.03
TEETH_CENTRE, TEETH_WIDTH = (
    0.04,
    0.008,
)  # lip gap: nine closed smiles ≤ .039, 15 with teeth ≥ .040

SMILES = ("none", "regular", "with_teeth")


@dataclass(frozen=True, slots=True)
class MouthAttributes:
    """Scores 0..1 of a mouth; `smile` is the sum of `regular` and `with_teeth`."""

    opened: float
    smile: float
    regular: float
    with_teeth: float
    occluded: float | None = None


class SmileScoresJson(TypedDict):
    regular: float
    with_teeth: float


class SmileTypeJson(TypedDict):
    predominant_type: Annotated[str, OneOf(SMILES)]
    estimations: SmileScoresJson


class MouthPropertiesJson(TypedDict):
    smile_type: SmileTypeJson


class MouthAttributesJson(TypedDict):
    """Scores of a mouth, 0 to 1."""

    opened: float
    occluded: float | None
    smile: float
    properties: MouthPropertiesJson


class MouthAttributesEstimator(Estimator):
    """Estimator by geometry of the mesh, the emotion network and the network for covered parts."""

    name = "mouth_attributes"
    needs = ("mesh", "emotions")
    wants = ("face_occlusion",)
    result = MouthAttributes

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[MouthAttributes]:
        """Estimate each face."""
        return [
            _mouth(
                lip_gap(subject.result("mesh", Mesh).shape),
                subject.result("emotions", Emotions).happiness,
                covered_parts(subject).get("mouth"),
            )
            for subject in subjects
        ]

    def json(self, result: MouthAttributes) -> MouthAttributesJson:
        """Return `{opened, occluded, smile, properties}`; `occluded` is null without a network for it."""
        kinds = dict(zip(SMILES, (1 - result.smile, result.regular, result.with_teeth), strict=True))
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
    """Return the widest gap of the inner lips, relative to the distance from the eyes' midpoint to the chin.

    `shape`: [468, 3].
    """
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
