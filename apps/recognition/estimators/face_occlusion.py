"""Which parts of a face are covered.

A network tells it by labels of `FACE_PARTS`, each with a score, or by saying of each of the five points whether it is
hidden (head `five_points`: hidden where its value exceeds that of "visible"; the mouth's score is the mean of its
corners'). There is none in the embedded set: without a network of the task `face_occlusion` the estimator is
unavailable. The pack `recommended` has one of the second kind, which knows neither hair nor forehead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import Scores, face_crops, label_scores
from apps.recognition.estimators.shapes import Json
from apps.recognition.networks.labels import FIVE_POINTS, POINT_VALUES
from apps.recognition.networks.specs import Manifest

OCCLUDED_THRESHOLD = 0.5
VISIBLE, HIDDEN = POINT_VALUES.index("visible"), POINT_VALUES.index("hidden")


@dataclass(frozen=True, slots=True)
class FaceOcclusion:
    """How likely each part is covered, 0..1."""

    scores: Mapping[str, float]

    @property
    def overall(self) -> float:
        """Of the part that is most likely covered."""
        return max(self.scores.values())

    @property
    def occluded(self) -> Mapping[str, bool]:
        """Which parts are covered."""
        return {part: score >= OCCLUDED_THRESHOLD for part, score in self.scores.items()}


def covered_parts(subject: Subject) -> Mapping[str, float]:
    """How likely each part that a network knows is covered, 0..1; empty without a network."""
    found = subject.results.get("face_occlusion")
    return found.scores if isinstance(found, FaceOcclusion) else {}


class FaceOcclusionEstimator(Estimator):
    """One run of the network a face."""

    name = "face_occlusion"
    needs = ("mesh",)
    tasks = ("face_occlusion",)
    result = FaceOcclusion

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[FaceOcclusion]:
        """Of every face."""
        network = networks.for_task("face_occlusion")
        if network.head == FIVE_POINTS:
            return [FaceOcclusion(scores) for scores in _hidden_points(subjects, networks, network)]
        return [FaceOcclusion(scores) for scores in label_scores(subjects, networks, "face_occlusion")]

    def json(self, result: FaceOcclusion) -> Json:
        """`{prediction, estimations, face_occlusion}`: prediction 1 where any part is covered."""
        return {
            "prediction": int(any(result.occluded.values())),
            "estimations": {
                "overall_score": shapes.score(result.overall),
                **{f"{part}_score": shapes.score(score) for part, score in result.scores.items()},
            },
            "face_occlusion": {f"{part}_occluded": int(occluded) for part, occluded in result.occluded.items()},
        }


def _hidden_points(subjects: Sequence[Subject], networks: Networks, network: Manifest) -> list[Scores]:
    """Scores by part; the person's left eye is on the picture's right."""
    output = network.labelled_output
    points = networks.run(network.name, face_crops(subjects, network.input))[output.name]
    hidden = 1 / (1 + np.exp(np.clip(points[..., VISIBLE] - points[..., HIDDEN], -60, 60)))
    return [
        {"mouth": (left + right) / 2, "nose": nose, "left_eye": left_eye, "right_eye": right_eye}
        for right_eye, left_eye, nose, left, right in hidden.astype(float).tolist()
    ]


ESTIMATOR = FaceOcclusionEstimator()
