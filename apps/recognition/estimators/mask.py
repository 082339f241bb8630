"""Mask by a classification network with the labels `missing`, `medical_mask` and `occluded`, or some of them.

Where the network states the threshold `medical_mask`, its score is moved so that one half lies at it; for a face whose
mouth is hidden by the network of the task `face_occlusion`, at the threshold `mouth_hidden` instead. With that network
a face without a mask counts as `occluded` where nose and mouth are both hidden, and how the mask is worn follows from
the hidden points: a mask below the nose covers the mouth alone. A network of masks may tell this itself by an output
that is named `occlusion`. There is no network in the embedded set: without one of the task `mask` the estimator is
unavailable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apps.common.filters import enums
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.face_occlusion import OCCLUDED_THRESHOLD, covered_parts
from apps.recognition.estimators.labelled import (
    Labelled,
    Scores,
    centred,
    label_scores,
    mean_scores,
    output_scores,
)
from apps.recognition.estimators.shapes import Json
from apps.recognition.networks.labels import MEDICAL_MASK, MISSING, OCCLUDED
from apps.recognition.networks.specs import Manifest

OCCLUSION_OUTPUT = "occlusion"
MOUTH_HIDDEN = "mouth_hidden"
WORN = {MEDICAL_MASK: ("correct", "mouth"), MISSING: ("clear", "chin"), OCCLUDED: ("partially", "full")}


@dataclass(frozen=True, slots=True)
class Mask(Labelled):
    """`occlusion`: scores by how the mask is worn, None where no network tells."""

    occlusion: Mapping[str, float] | None

    @property
    def predominant_occlusion(self) -> str | None:
        """How the mask is most likely worn, of the ways that belong to the predominant label."""
        if self.occlusion is None:
            return None
        ways = [way for way in WORN[self.predominant] if way in self.occlusion] or list(self.occlusion)
        return max(ways, key=self.occlusion.__getitem__)


class MaskEstimator(Estimator):
    """One run of the network a face, two where it tells how the mask is worn."""

    name = "mask"
    needs = ("mesh",)
    wants = ("face_occlusion",)
    tasks = ("mask",)
    result = Mask

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Mask]:
        """Of every face."""
        network = networks.for_task("mask")
        covered = [covered_parts(subject) for subject in subjects]
        found = label_scores(subjects, networks, "mask")
        scores = [_with_parts(each, parts, network) for each, parts in zip(found, covered, strict=True)]
        if all(output.name != OCCLUSION_OUTPUT for output in network.outputs):
            return [Mask(each, _worn(each, parts)) for each, parts in zip(scores, covered, strict=True)]
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


def _with_parts(scores: Scores, parts: Mapping[str, float], network: Manifest) -> Scores:
    """The scores by the network's own thresholds and by the parts that are covered."""
    thresholds = dict(network.thresholds)
    if MEDICAL_MASK in thresholds:
        hidden = parts.get("mouth", 0.0) >= OCCLUDED_THRESHOLD
        threshold = thresholds.get(MOUTH_HIDDEN if hidden else MEDICAL_MASK, thresholds[MEDICAL_MASK])
        masked = centred(scores[MEDICAL_MASK], threshold)
        scores = {MEDICAL_MASK: masked, MISSING: 1 - masked}
    if OCCLUDED in scores or not {"mouth", "nose"} <= parts.keys():
        return scores
    without, hidden = 1 - scores.get(MEDICAL_MASK, 0.0), min(parts["mouth"], parts["nose"]) >= OCCLUDED_THRESHOLD
    return {**scores, MISSING: without * (not hidden), OCCLUDED: without * hidden}


def _worn(scores: Scores, parts: Mapping[str, float]) -> Mapping[str, float] | None:
    """How the mask is worn by the covered parts; None where they are not known. They do not tell a mask on the chin."""
    if not {"mouth", "nose"} <= parts.keys():
        return None
    masked, occluded = scores.get(MEDICAL_MASK, 0.0), scores.get(OCCLUDED, 0.0)
    eyes = min(parts.get("left_eye", 0.0), parts.get("right_eye", 0.0))
    return {
        "correct": masked * parts["nose"],
        "mouth": masked * (1 - parts["nose"]),
        "clear": scores.get(MISSING, 0.0),
        "partially": occluded * (1 - eyes),
        "full": occluded * eyes,
    }


ESTIMATOR = MaskEstimator()
