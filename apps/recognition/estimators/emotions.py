"""Seven emotions by the emotion network on the tight square around the mesh.

The embedded one is mini-XCEPTION (O. Arriaga, face_classification), which sees 64 × 64 grey pixels. Plausible
on 13 of 16 staged photographs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from apps.common.filters import enums
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.crops import mesh_crops
from apps.recognition.estimators.labelled import mean_scores
from apps.recognition.estimators.shapes import Json


@dataclass(frozen=True, slots=True)
class Emotions:
    """Probabilities that add up to 1."""

    anger: float
    disgust: float
    fear: float
    happiness: float
    sadness: float
    surprise: float
    neutral: float

    @property
    def scores(self) -> dict[str, float]:
        """By name."""
        return {emotion.name: getattr(self, emotion.name) for emotion in fields(self)}

    @property
    def predominant(self) -> str:
        """The likeliest."""
        return max(self.scores, key=self.scores.__getitem__)


class EmotionsEstimator(Estimator):
    """One run of the network a face."""

    name = "emotions"
    needs = ("mesh",)
    tasks = ("emotion",)
    result = Emotions

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Emotions]:
        """Of every face."""
        network = networks.for_task("emotion")
        rows = networks.run(network.name, mesh_crops(subjects, 1.0, network.input.width))["emotion"]
        return [Emotions(*map(float, row)) for row in rows]  # the network's order is that of the fields

    def json(self, result: Emotions) -> Json:
        """`{predominant_emotion, estimations}`."""
        return {"predominant_emotion": result.predominant, "estimations": shapes.scores(result.scores)}

    def mean(self, results: Sequence[Emotions]) -> Emotions:
        """The mean probability of each."""
        return Emotions(**mean_scores([each.scores for each in results]))

    def columns(self, result: Emotions) -> Mapping[str, int]:
        """The predominant one."""
        return {"emotion": enums.Emotion.of(result.predominant)}


ESTIMATOR = EmotionsEstimator()
