"""Headwear by a classification network with the platform's labels.

The embedded set has no network of the task `headwear`, and no image statistic separates a hat from hair. Without a
network the estimator is unavailable.
"""

from collections.abc import Sequence

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import Labelled, label_scores


class Headwear(Labelled):
    """Scores 0..1 by label; labels are `HEADWEAR_TYPES` of apps.recognition.networks.labels, or some of them."""

    __slots__ = ()


class HeadwearEstimator(Estimator):
    """Estimator with one run of the network per face."""

    name = "headwear"
    feature = "face_quality"
    needs = ("mesh",)
    tasks = ("headwear",)

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Headwear]:
        """Estimate each face."""
        return [Headwear(scores) for scores in label_scores(subjects, networks, "headwear")]


ESTIMATOR = HeadwearEstimator()
