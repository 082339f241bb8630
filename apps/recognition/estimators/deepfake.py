"""Deepfake by a classification network with the labels `real` and `fake`, or one of them.

The embedded set has no network of the task `deepfake`; without one the estimator is unavailable. A face that the
preliminary network (`deepfake_preliminary`) classifies as fake scores 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, TypedDict

import numpy as np

from apps.common.filters import enums
from apps.common.json_types import words
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.deepfake_preliminary import REAL_THRESHOLD, FirstLook, real_scores
from apps.recognition.estimators.source import is_warp
from apps.recognition.networks.labels import FAKE, REAL


@dataclass(frozen=True, slots=True)
class Deepfake:
    """Deepfake. `real`: score of the network, 0..1. `looks_fake`: result of the preliminary network."""

    real: float
    threshold: float = REAL_THRESHOLD
    looks_fake: bool = False

    @property
    def score(self) -> float:
        """Probability that the face is real, 0..1."""
        return 0.0 if self.looks_fake else self.real

    @property
    def predominant(self) -> str:
        """Prediction `real` or `fake`."""
        return REAL if self.real >= self.threshold and not self.looks_fake else FAKE


class DeepfakeJson(TypedDict):
    prediction: Annotated[str, words(enums.Deepfake)]
    score: Annotated[float, "Probability of `real`."]


class DeepfakeEstimator(Estimator):
    """Estimator with one run of the network per face."""

    name = "deepfake"
    feature = "deepfake"
    needs = ("mesh",)
    wants = ("deepfake_preliminary",)
    tasks = ("deepfake",)
    result = Deepfake

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Deepfake | None]:
        """Estimate each face of a picture; None for warps, which this estimation does not accept."""
        if is_warp(subjects[0]):
            return [None] * len(subjects)
        return [
            Deepfake(real, looks_fake=subject.results.get("deepfake_preliminary") == FirstLook(fake=True))
            for subject, real in zip(subjects, real_scores(subjects, networks, "deepfake"), strict=True)
        ]

    def json(self, result: Deepfake) -> DeepfakeJson:
        """Return `{prediction, score}`."""
        return {"prediction": result.predominant, "score": shapes.score(result.score)}

    def mean(self, results: Sequence[Deepfake]) -> Deepfake:
        """Return the mean score with the threshold of the first."""
        score = float(np.mean([each.score for each in results]))
        return replace(results[0], real=score, looks_fake=False)

    def columns(self, result: Deepfake) -> Mapping[str, int]:
        """Return the number of the prediction."""
        return {"deepfake": enums.Deepfake.of(result.predominant)}


ESTIMATOR = DeepfakeEstimator()
