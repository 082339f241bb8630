"""Liveness: is it a face before the camera, or a picture of one? Advisory: it stops nothing by itself.

`probability` is the network's class `live`, averaged with the mean of its companions'. The embedded network,
livenessnet, lets every flat spoof pass: what it finds live is answered as "unknown" (`advisory` in its manifest). The
pack `recommended` joins three networks; its figures are in docs/estimators.md. `quality` is the descriptor's
suitability of the warp: sharp, lit and frontal; below its threshold the answer is "unknown". So it is for a face
without colour, which these networks take for a print, and for one whose surroundings, as far as a network looks, leave
the picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from apps.common.filters import enums
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.crops import face_square_inside
from apps.recognition.estimators.face_color_type import GRAYSCALE, FaceColorType
from apps.recognition.estimators.face_descriptor import suitability
from apps.recognition.estimators.labelled import label_scores
from apps.recognition.estimators.shapes import Json
from apps.recognition.networks.labels import LIVE
from apps.recognition.networks.specs import Manifest

QUALITY_THRESHOLD = 0.5


class Prediction(StrEnum):
    """What is said of a face."""

    SPOOF = "spoof"
    REAL = "real"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Liveness:
    """`probability` of a living face and `quality` of the picture of it, 0..1, each with its threshold.

    `fit`: does the picture show what the networks need? `advisory`: no face is called real.
    """

    probability: float
    quality: float
    threshold: float
    quality_threshold: float = QUALITY_THRESHOLD
    fit: bool = True
    advisory: bool = False

    @property
    def predominant(self) -> Prediction:
        """What the thresholds make of it."""
        if not self.fit or self.quality < self.quality_threshold:
            return Prediction.UNKNOWN
        if self.probability < self.threshold:
            return Prediction.SPOOF
        return Prediction.UNKNOWN if self.advisory else Prediction.REAL


class LivenessEstimator(Estimator):
    """One run of the network, and of each companion, a face."""

    name = "liveness"
    feature = "liveness"
    needs = ("mesh", "face_color_type")
    tasks = ("liveness",)
    result = Liveness

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Liveness]:
        """Of every face."""
        network = networks.for_task("liveness")
        return [
            Liveness(
                scores[LIVE],
                suitability(subject.warp, subject.warp_landmarks5),
                network.threshold(LIVE),
                fit=_is_fit(subject, network),
                advisory=network.advisory,
            )
            for subject, scores in zip(subjects, label_scores(subjects, networks, "liveness"), strict=True)
        ]

    def json(self, result: Liveness) -> Json:
        """`{prediction, estimations}` with the word of the prediction; the probability under both names in use."""
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
        """Mean probability and quality of the fit pictures, if any is, judged by the thresholds of the first."""
        told = [each for each in results if each.fit] or results
        probability, quality = np.mean([[each.probability, each.quality] for each in told], 0)
        return replace(told[0], probability=float(probability), quality=float(quality))

    def columns(self, result: Liveness) -> Mapping[str, int]:
        """The prediction."""
        return {"liveness": enums.Liveness.of(result.predominant)}


def _is_fit(subject: Subject, network: Manifest) -> bool:
    if subject.result("face_color_type", FaceColorType).predominant == GRAYSCALE:
        return False
    return network.input.crop != "face" or face_square_inside(subject, network.input.crop_scale)


ESTIMATOR = LivenessEstimator()
