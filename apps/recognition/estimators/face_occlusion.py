"""Covered parts of a face.

A network has scores of the labels `FACE_PARTS`, or classifies each of the five landmarks as visible or hidden (head
`five_points`). With this head a landmark is hidden if its value exceeds that of "visible"; the score of the mouth is
the mean of its corners' scores. The embedded set has no network of the task `face_occlusion`; without one the estimator
is unavailable. The pack `recommended` has one with the head `five_points`, which covers neither hair nor forehead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

import numpy as np

from apps.common.json_types import Keys
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import Scores, face_crops, label_scores
from apps.recognition.networks.labels import FACE_PARTS, FIVE_POINTS, POINT_VALUES
from apps.recognition.networks.specs import Manifest

OCCLUDED_THRESHOLD = 0.5
VISIBLE, HIDDEN = POINT_VALUES.index("visible"), POINT_VALUES.index("hidden")


@dataclass(frozen=True, slots=True)
class FaceOcclusion:
    """Probability 0..1 of each part to be covered."""

    scores: Mapping[str, float]

    @property
    def overall(self) -> float:
        """Highest probability of the parts."""
        return max(self.scores.values())

    @property
    def occluded(self) -> Mapping[str, bool]:
        """Whether each part is covered, by name."""
        return {part: score >= OCCLUDED_THRESHOLD for part, score in self.scores.items()}


def covered_parts(subject: Subject) -> Mapping[str, float]:
    """Return the probability 0..1 of each part of the network to be covered; empty without a network."""
    found = subject.results.get("face_occlusion")
    return found.scores if isinstance(found, FaceOcclusion) else {}


class FaceOcclusionJson(TypedDict):
    """Parts of a face that are covered."""

    prediction: Annotated[int, "1: a part is covered."]
    estimations: Annotated[dict[str, float], Keys(("overall_score", *(f"{part}_score" for part in FACE_PARTS)))]
    face_occlusion: Annotated[dict[str, int], Keys(tuple(f"{part}_occluded" for part in FACE_PARTS))]


class FaceOcclusionEstimator(Estimator):
    """Estimator with one run of the network per face."""

    name = "face_occlusion"
    needs = ("mesh",)
    tasks = ("face_occlusion",)
    result = FaceOcclusion

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[FaceOcclusion]:
        """Estimate each face."""
        network = networks.for_task("face_occlusion")
        if network.head == FIVE_POINTS:
            return [FaceOcclusion(scores) for scores in _hidden_points(subjects, networks, network)]
        return [FaceOcclusion(scores) for scores in label_scores(subjects, networks, "face_occlusion")]

    def json(self, result: FaceOcclusion) -> FaceOcclusionJson:
        """Return `{prediction, estimations, face_occlusion}`; `prediction` is 1 if a part is covered."""
        return {
            "prediction": int(any(result.occluded.values())),
            "estimations": {
                "overall_score": shapes.score(result.overall),
                **{f"{part}_score": shapes.score(score) for part, score in result.scores.items()},
            },
            "face_occlusion": {f"{part}_occluded": int(occluded) for part, occluded in result.occluded.items()},
        }


def _hidden_points(subjects: Sequence[Subject], networks: Networks, network: Manifest) -> list[Scores]:
    """Return scores by part; left and right are the person's."""
    output = network.labelled_output
    points = networks.run(network.name, face_crops(subjects, network.input))[output.name]
    hidden = 1 / (1 + np.exp(np.clip(points[..., VISIBLE] - points[..., HIDDEN], -60, 60)))
    return [
        {"mouth": (left + right) / 2, "nose": nose, "left_eye": left_eye, "right_eye": right_eye}
        for right_eye, left_eye, nose, left, right in hidden.astype(float).tolist()
    ]


ESTIMATOR = FaceOcclusionEstimator()
