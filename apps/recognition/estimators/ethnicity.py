"""Ethnicity by a classification network, as a step of the basic attributes.

There is none in the embedded set. The pack `gear` brings one that calls most people caucasian (on seven photographs of
one black man it is right four times): it is off until it is chosen with `networks use ethnicity gear`.
"""

from collections.abc import Sequence

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import Labelled, label_scores
from apps.recognition.networks.labels import ETHNICITIES


class Ethnicities(Labelled):
    """Scores 0..1 of `ETHNICITIES`; what the network gives to others is left out, so they may add up to less than 1."""

    __slots__ = ()


class EthnicityEstimator(Estimator):
    """One run of the network a face."""

    name = "ethnicity"
    needs = ("mesh",)
    tasks = ("ethnicity",)
    public = False

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Ethnicities]:
        """Of every face."""
        return [
            Ethnicities({name: scores[name] for name in ETHNICITIES if name in scores})
            for scores in label_scores(subjects, networks, "ethnicity")
        ]


ESTIMATOR = EthnicityEstimator()
