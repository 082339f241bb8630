"""Deepfake by a classification network with the labels `real` and `fake`, or one of them.

There is none in the embedded set: without a network of the task `deepfake` the estimator is unavailable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import label_scores
from apps.recognition.networks.labels import FAKE, REAL

REAL_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class Deepfake:
    """`score`: the probability that the face is real, 0..1."""

    score: float
    threshold: float = REAL_THRESHOLD

    @property
    def predominant(self) -> str:
        """`real` or `fake`."""
        return REAL if self.score >= self.threshold else FAKE


class DeepfakeEstimator(Estimator):
    """One run of the network a face."""

    name = "deepfake"
    needs = ("mesh",)
    tasks = ("deepfake",)

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Deepfake]:
        """Of every face."""
        return [
            Deepfake(scores[REAL] if REAL in scores else 1.0 - scores[FAKE])
            for scores in label_scores(subjects, networks, "deepfake")
        ]


ESTIMATOR = DeepfakeEstimator()
