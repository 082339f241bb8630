"""Mask by a classification network with the labels `missing`, `medical_mask` and `occluded`, or some of them.

How the mask is worn is told by an output of the network that is named `occlusion`, where it has one. There is no
network in the embedded set: without one of the task `mask` the estimator is unavailable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apps.common.filters import enums
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.labelled import Labelled, label_scores, mean_scores, output_scores
from apps.recognition.estimators.shapes import Json

OCCLUSION_OUTPUT = "occlusion"


@dataclass(frozen=True, slots=True)
class Mask(Labelled):
    """`occlusion`: scores by how the mask is worn, None where the network does not tell."""

    occlusion: Mapping[str, float] | None

    @property
    def predominant_occlusion(self) -> str | None:
        """How the mask is most likely worn."""
        return None if self.occlusion is None else max(self.occlusion, key=self.occlusion.__getitem__)


class MaskEstimator(Estimator):
    """One run of the network a face, two where it tells how the mask is worn."""

    name = "mask"
    needs = ("mesh",)
    tasks = ("mask",)
    result = Mask

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Mask]:
        """Of every face."""
        network = networks.for_task("mask")
        scores = label_scores(subjects, networks, "mask")
        if all(output.name != OCCLUSION_OUTPUT for output in network.outputs):
            return [Mask(each, None) for each in scores]
        worn = output_scores(subjects, networks, network, OCCLUSION_OUTPUT)
        return [Mask(each, occlusion) for each, occlusion in zip(scores, worn, strict=True)]

    def json(self, result: Mask) -> Json:
        """`{predominant_mask, estimations, face_occlusion}`; `face_occlusion` is null where no network tells it."""
        occlusion = None
        if result.occlusion is not None:
            estimations = shapes.scores(result.occlusion)
            occlusion = {"predominant_occlusion": result.predominant_occlusion, "estimations": estimations}
        return {
            "predominant_mask": result.predominant,
            "estimations": shapes.scores(result.scores),
            "face_occlusion": occlusion,
        }

    def mean(self, results: Sequence[Mask]) -> Mask:
        """The mean score of each label."""
        worn = [each.occlusion for each in results if each.occlusion is not None]
        return Mask(mean_scores([each.scores for each in results]), mean_scores(worn) if worn else None)

    def columns(self, result: Mask) -> Mapping[str, int]:
        """The predominant one."""
        return {"mask": enums.Mask.of(result.predominant)}


ESTIMATOR = MaskEstimator()
