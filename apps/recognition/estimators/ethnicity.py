"""Ethnicity by a classification network, as a step of the basic attributes.

There is none in the embedded set. The pack `gear` brings one whose accuracy was not measured: it is off until it is
chosen with `networks use ethnicity gear`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import label_scores
from apps.recognition.networks.labels import ETHNICITIES


@dataclass(frozen=True, slots=True)
class Ethnicities:
    """Scores 0..1 of `ETHNICITIES`; what the network gives to others is left out, so they may add up to less than 1."""

    scores: Mapping[str, float]

    @property
    def predominant(self) -> str:
        """The label with the highest score."""
        return max(self.scores, key=lambda label: self.scores[label])


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
