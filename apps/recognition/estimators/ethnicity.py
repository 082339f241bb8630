"""Ethnicity by a classification network, as a step of the basic attributes.

The embedded set has no network for it. The pack `gear` has one that classifies most people as caucasian; on seven
photographs of one black man it is right four times. It is off until it is selected with `networks use ethnicity gear`.
"""

from collections.abc import Sequence

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import Labelled, label_scores
from apps.recognition.networks.labels import ETHNICITIES


class Ethnicities(Labelled):
    """Scores 0..1 of `ETHNICITIES`. The network's score of others is omitted, so the sum can be below 1."""

    __slots__ = ()


class EthnicityEstimator(Estimator):
    """Estimator with one run of the network per face."""

    name = "ethnicity"
    needs = ("mesh",)
    tasks = ("ethnicity",)
    public = False

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Ethnicities]:
        """Estimate each face."""
        return [
            Ethnicities({name: scores[name] for name in ETHNICITIES if name in scores})
            for scores in label_scores(subjects, networks, "ethnicity")
        ]


ESTIMATOR = EthnicityEstimator()
