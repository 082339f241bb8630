"""Liveness: is it a face before the camera, or a picture of one? Advisory: it stops nothing by itself.

`probability` is the mean of the installed network's and its companions' class `live`. The embedded one,
livenessnet, tells screens from faces with an area under the ROC curve of .88 to .90 and prints with .58 to .64; the
pack `minifasnet` .97 and .83 (synthetic attacks; of real flat spoofs it caught 8 of 8, of paper masks 0 of 5, and
rejected 6 of 36 real faces). `quality` is the descriptor's suitability of the warp: sharp, lit and frontal; below its
threshold the answer is "unknown".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from apps.common.filters import enums
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.face_descriptor import suitability
from apps.recognition.estimators.labelled import label_scores
from apps.recognition.estimators.shapes import Json
from apps.recognition.networks.labels import LIVE

QUALITY_THRESHOLD = 0.5


class Prediction(StrEnum):
    """What is said of a face."""

    SPOOF = "spoof"
    REAL = "real"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Liveness:
    """`probability` of a living face and `quality` of the picture of it, 0..1, each with its threshold."""

    probability: float
    quality: float
    threshold: float
    quality_threshold: float = QUALITY_THRESHOLD

    @property
    def predominant(self) -> Prediction:
        """What the thresholds make of it."""
        if self.quality < self.quality_threshold:
            return Prediction.UNKNOWN
        return Prediction.REAL if self.probability >= self.threshold else Prediction.SPOOF


class LivenessEstimator(Estimator):
    """One run of the network, and of each companion, a face."""

    name = "liveness"
    feature = "liveness"
    needs = ("mesh",)
    tasks = ("liveness",)
    result = Liveness

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Liveness]:
        """Of every face."""
        threshold = networks.for_task("liveness").threshold(LIVE)
        return [
            Liveness(scores[LIVE], suitability(subject.warp, subject.warp_landmarks5), threshold)
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
        """Mean probability and quality, judged by the thresholds of the first."""
        probability, quality = np.mean([[each.probability, each.quality] for each in results], 0)
        return replace(results[0], probability=float(probability), quality=float(quality))

    def columns(self, result: Liveness) -> Mapping[str, int]:
        """The prediction."""
        return {"liveness": enums.Liveness.of(result.predominant)}


ESTIMATOR = LivenessEstimator()
