"""A first look at the face in its picture, before the deepfake network: who is found fake by it scores 0.

It is the platform's mode 2, and its network that of the task `deepfake_preliminary`, with the labels `real` and `fake`
or one of them; a face is real from its threshold `real` on. There is none in the embedded set: deepfake then goes
without. A warp, whose picture is lost, is not looked at.
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
    """Is the face fake?"""

    fake: bool


def real_scores(subjects: Sequence[Subject], networks: Networks, task: str) -> list[float]:
    """For every face the probability 0..1 that it is real."""
    return [scores[REAL] if REAL in scores else 1.0 - scores[FAKE] for scores in label_scores(subjects, networks, task)]


class DeepfakePreliminaryEstimator(Estimator):
    """One run of the network a face."""

    name = "deepfake_preliminary"
    feature = "deepfake"
    needs = ("mesh",)
    tasks = ("deepfake_preliminary",)
    public = False

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[FirstLook | None]:
        """Of every face; None of warps."""
        if is_warp(subjects[0]):
            return [None] * len(subjects)
        threshold = dict(networks.for_task(self.name).thresholds).get(REAL, REAL_THRESHOLD)
        return [FirstLook(score < threshold) for score in real_scores(subjects, networks, self.name)]


ESTIMATOR = DeepfakePreliminaryEstimator()
