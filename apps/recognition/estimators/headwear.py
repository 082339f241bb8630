"""Headwear by a classification network, whose labels are those of the platform.

There is none in the embedded set, and no measurement of the picture tells a hat from hair: without a network of the
task `headwear` the estimator is unavailable.
"""

from collections.abc import Sequence

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import Labelled, label_scores


class Headwear(Labelled):
    """Scores 0..1 by label of the network, `HEADWEAR_TYPES` of apps.recognition.networks.labels or some of them."""

    __slots__ = ()


class HeadwearEstimator(Estimator):
    """One run of the network a face."""

    name = "headwear"
    feature = "face_quality"
    needs = ("mesh",)
    tasks = ("headwear",)

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Headwear]:
        """Of every face."""
        return [Headwear(scores) for scores in label_scores(subjects, networks, "headwear")]


ESTIMATOR = HeadwearEstimator()
