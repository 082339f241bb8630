"""Seven emotions by the emotion network on the tight square around the mesh.

The embedded network is mini-XCEPTION (O. Arriaga, face_classification) with an input of 64 × 64 grey pixels. Its result
is plausible on 13 of 16 staged photographs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, TypedDict

from apps.common.filters import enums
from apps.common.json_types import keys, words
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.crops import mesh_crops
from apps.recognition.estimators.labelled import mean_scores


@dataclass(frozen=True, slots=True)
class Emotions:
    """Probabilities of emotions; their sum is 1."""

    anger: float
    disgust: float
    fear: float
    happiness: float
    sadness: float
    surprise: float
    neutral: float

    @property
    def scores(self) -> dict[str, float]:
        """Probabilities by name."""
        return {emotion.name: getattr(self, emotion.name) for emotion in fields(self)}

    @property
    def predominant(self) -> str:
        """Emotion with the highest probability."""
        return max(self.scores, key=self.scores.__getitem__)


class EmotionsJson(TypedDict):
    predominant_emotion: Annotated[str, words(enums.Emotion)]
    estimations: Annotated[dict[str, float], keys(enums.Emotion)]


class EmotionsEstimator(Estimator):
    """Estimator with one run of the network per face."""

    name = "emotions"
    needs = ("mesh",)
    tasks = ("emotion",)
    result = Emotions

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Emotions]:
        """Estimate each face."""
        network = networks.for_task("emotion")
        rows = networks.run(network.name, mesh_crops(subjects, 1.0, network.input.width))["emotion"]
        return [Emotions(*map(float, row)) for row in rows]  # the network has the order of the fields

    def json(self, result: Emotions) -> EmotionsJson:
        """Return `{predominant_emotion, estimations}`."""
        return {"predominant_emotion": result.predominant, "estimations": shapes.scores(result.scores)}

    def mean(self, results: Sequence[Emotions]) -> Emotions:
        """Return the mean probability of each emotion."""
        return Emotions(**mean_scores([each.scores for each in results]))

    def columns(self, result: Emotions) -> Mapping[str, int]:
        """Return the number of the predominant label."""
        return {"emotion": enums.Emotion.of(result.predominant)}


ESTIMATOR = EmotionsEstimator()
