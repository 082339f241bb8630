"""Deepfake by a classification network with the labels `real` and `fake`, or one of them.

There is none in the embedded set: without a network of the task `deepfake` the estimator is unavailable. Where there is
one for a first look, too (`deepfake_preliminary`), whom that finds fake scores 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from apps.common.filters import enums
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.deepfake_preliminary import REAL_THRESHOLD, FirstLook, real_scores
from apps.recognition.estimators.shapes import Json
from apps.recognition.networks.labels import FAKE, REAL


@dataclass(frozen=True, slots=True)
class Deepfake:
    """`real`: what the network says, 0..1. `looks_fake`: what the first look says."""

    real: float
    threshold: float = REAL_THRESHOLD
    looks_fake: bool = False

    @property
    def score(self) -> float:
        """The probability that the face is real, 0..1."""
        return 0.0 if self.looks_fake else self.real

    @property
    def predominant(self) -> str:
        """`real` or `fake`."""
        return REAL if self.real >= self.threshold and not self.looks_fake else FAKE


class DeepfakeEstimator(Estimator):
    """One run of the network a face."""

    name = "deepfake"
    feature = "deepfake"
    needs = ("mesh",)
    wants = ("deepfake_preliminary",)
    tasks = ("deepfake",)
    result = Deepfake

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Deepfake]:
        """Of every face."""
        return [
            Deepfake(real, looks_fake=subject.results.get("deepfake_preliminary") == FirstLook(fake=True))
            for subject, real in zip(subjects, real_scores(subjects, networks, "deepfake"), strict=True)
        ]

    def json(self, result: Deepfake) -> Json:
        """`{prediction, score}`."""
        return {"prediction": result.predominant, "score": shapes.score(result.score)}

    def mean(self, results: Sequence[Deepfake]) -> Deepfake:
        """The mean score, judged by the threshold of the first."""
        score = float(np.mean([each.score for each in results]))
        return replace(results[0], real=score, looks_fake=False)

    def columns(self, result: Deepfake) -> Mapping[str, int]:
        """The prediction."""
        return {"deepfake": enums.Deepfake.of(result.predominant)}


ESTIMATOR = DeepfakeEstimator()
