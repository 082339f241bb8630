"""Preliminary deepfake check of the face in its picture; a face that it classifies as fake scores 0.

It belongs to the platform's mode 2. Its network has the task `deepfake_preliminary` and the labels `real` and `fake` or
one of them. A face is real if its score reaches the threshold `real`. The embedded set has no such network; without one
the check is skipped. Warps are not checked, because their picture is unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import label_scores
from apps.recognition.estimators.source import is_warp
from apps.recognition.networks.labels import FAKE, REAL

REAL_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class FirstLook:
    """Result of the preliminary check: whether the face is fake."""

    fake: bool


def real_scores(subjects: Sequence[Subject], networks: Networks, task: str) -> list[float]:
    """Return the probability 0..1 that each face is real."""
    return [scores[REAL] if REAL in scores else 1.0 - scores[FAKE] for scores in label_scores(subjects, networks, task)]


class DeepfakePreliminaryEstimator(Estimator):
    """Estimator with one run of the network per face."""

    name = "deepfake_preliminary"
    feature = "deepfake"
    needs = ("mesh",)
    tasks = ("deepfake_preliminary",)
    public = False

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[FirstLook | None]:
        """Estimate each face; None for warps."""
        if is_warp(subjects[0]):
            return [None] * len(subjects)
        threshold = dict(networks.for_task(self.name).thresholds).get(REAL, REAL_THRESHOLD)
        return [FirstLook(score < threshold) for score in real_scores(subjects, networks, self.name)]


ESTIMATOR = DeepfakePreliminaryEstimator()
