"""Glasses by a classification network, whose labels are those of the platform.

There is none in the embedded set. No photograph with glasses is at hand on which a measurement of edges around the eyes
could be judged, so none is offered: without a network of the task `glasses` the estimator is unavailable.
"""

from collections.abc import Sequence

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import Labelled, label_scores
from apps.recognition.estimators.shapes import Json


class Glasses(Labelled):
    """Scores 0..1 by label of the network, `GLASSES` of apps.recognition.networks.labels or some of them."""

    __slots__ = ()


class GlassesEstimator(Estimator):
    """One run of the network a face."""

    name = "glasses"
    needs = ("mesh",)
    tasks = ("glasses",)
    result = Glasses

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Glasses]:
        """Of every face."""
        return [Glasses(scores) for scores in label_scores(subjects, networks, "glasses")]

    def json(self, result: Glasses) -> Json:
        """`{glasses}`."""
        return {"glasses": result.predominant}


ESTIMATOR = GlassesEstimator()
