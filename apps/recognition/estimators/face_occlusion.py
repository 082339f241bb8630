"""Which parts of a face are covered, by a network whose labels are `FACE_PARTS` or some of them, each with a score.

There is none in the embedded set: without a network of the task `face_occlusion` the estimator is unavailable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import label_scores
from apps.recognition.estimators.shapes import Json

OCCLUDED_THRESHOLD = 0.5


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


ESTIMATOR = FaceOcclusionEstimator()
