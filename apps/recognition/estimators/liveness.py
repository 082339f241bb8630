"""Liveness: a real face or a picture of a face. The result is advisory and blocks nothing by itself.

`probability` is the mean of the network's class `live` and the companions' mean. The embedded network, livenessnet,
accepts every flat spoof; its result "live" is therefore reported as "unknown" (`advisory` in its manifest). The pack
`recommended` joins three networks, with figures in docs/estimators.md.

`quality` measures sharpness, light and frontality of the warp. The prediction is "unknown" if the quality is below its
threshold. It is also "unknown" for a face without colour, which these networks classify as a print. The same applies if
the network's crop extends beyond the picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, TypedDict

import numpy as np

from apps.common.filters import enums
from apps.common.json_types import words
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.crops import face_square_inside
from apps.recognition.estimators.face_color_type import GRAYSCALE, FaceColorType
from apps.recognition.estimators.labelled import label_scores
from apps.recognition.estimators.measures import luminance, sharpness, sigmoid
from apps.recognition.networks.labels import LIVE
from apps.recognition.networks.specs import Manifest
from apps.recognition.types import Image, Points

QUALITY_THRESHOLD = 0.5
DARK_LUMINANCE, LUMINANCE_WIDTH = 0.2, 0.05  # as for `quality.dark`
PROFILE_NOSE_OFFSET, NOSE_OFFSET_WIDTH = 0.45, 0.08  # eye distances from the middle of the eyes


class Prediction(StrEnum):
    """Prediction of liveness."""

    SPOOF = "spoof"
    REAL = "real"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Liveness:
    """Liveness: `probability` of a real face and `quality` of its picture, 0..1, each with a threshold.

    `fit`: whether the picture meets the needs of the networks. `advisory`: the prediction is never real.
    """

    probability: float
    quality: float
    threshold: float
    quality_threshold: float = QUALITY_THRESHOLD
    fit: bool = True
    advisory: bool = False

    @property
    def predominant(self) -> Prediction:
        """Prediction by the thresholds."""
        if not self.fit or self.quality < self.quality_threshold:
            return Prediction.UNKNOWN
        if self.probability < self.threshold:
            return Prediction.SPOOF
        return Prediction.UNKNOWN if self.advisory else Prediction.REAL


class LivenessScoresJson(TypedDict):
    probability: Annotated[float, "Probability of `real`."]
    score: Annotated[float, "The same."]
    quality: Annotated[float, "Suitability of the picture, 0 to 1."]


class LivenessJson(TypedDict):
    prediction: Annotated[str, words(enums.Liveness)]
    estimations: LivenessScoresJson


class LivenessEstimator(Estimator):
    """Estimator with one run of the network, and of each companion, per face."""

    name = "liveness"
    feature = "liveness"
    needs = ("mesh", "face_color_type")
    tasks = ("liveness",)
    result = Liveness

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Liveness]:
        """Estimate each face."""
        network = networks.for_task("liveness")
        return [
            Liveness(
                scores[LIVE],
                clearness(subject.warp, subject.warp_landmarks5),
                network.threshold(LIVE),
                fit=_is_fit(subject, network),
                advisory=network.advisory,
            )
            for subject, scores in zip(subjects, label_scores(subjects, networks, "liveness"), strict=True)
        ]

    def json(self, result: Liveness) -> LivenessJson:
        """Return `{prediction, estimations}`; the probability has both names in use."""
        probability = shapes.score(result.probability)
        return {
            "prediction": result.predominant.value,
            "estimations": {
                "probability": probability,
                "score": probability,
                "quality": shapes.score(result.quality),
            },
        }

    def mean(self, results: Sequence[Liveness]) -> Liveness:
        """Return mean probability and quality of the fit pictures, with the thresholds of the first."""
        told = [each for each in results if each.fit] or results
        probability, quality = np.mean([[each.probability, each.quality] for each in told], 0)
        return replace(told[0], probability=float(probability), quality=float(quality))

    def columns(self, result: Liveness) -> Mapping[str, int]:
        """Return the number of the prediction."""
        return {"liveness": enums.Liveness.of(result.predominant)}


def clearness(warp: Image, landmarks5: Points) -> float:
    """Return the geometric mean of sharpness, light and frontality (position of the nose between the eyes)."""
    middle, across = landmarks5[:2].mean(0), landmarks5[1] - landmarks5[0]
    distance = max(float(np.linalg.norm(across)), 1.0)
    nose_offset = abs(float((landmarks5[2] - middle) @ across)) / distance**2
    ahead = sigmoid(nose_offset, PROFILE_NOSE_OFFSET, -NOSE_OFFSET_WIDTH)
    light = sigmoid(float(luminance(warp[60:210:2, 60:190:2]).mean()), DARK_LUMINANCE, LUMINANCE_WIDTH)
    return float(np.cbrt(sharpness(warp) * light * ahead))


def _is_fit(subject: Subject, network: Manifest) -> bool:
    if subject.result("face_color_type", FaceColorType).predominant == GRAYSCALE:
        return False
    return network.input.crop != "face" or face_square_inside(subject, network.input.crop_scale)


ESTIMATOR = LivenessEstimator()
