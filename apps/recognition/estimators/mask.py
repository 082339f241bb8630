"""Mask by a classification network with the labels `missing`, `medical_mask` and `occluded`, or some of them.

If the manifest has the threshold `medical_mask`, the score is shifted so that this threshold maps to one half. If the
network of the task `face_occlusion` finds the mouth hidden, the threshold `mouth_hidden` is used instead. With that
network a face without a mask is `occluded` if nose and mouth are both hidden. The hidden landmarks also give the way of
wearing a mask: below the nose it covers only the mouth. A mask network can give this itself in an output `occlusion`.
The embedded set has no network of the task `mask`; without one the estimator is unavailable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

from apps.common.filters import enums
from apps.common.json_types import Keys, OneOf
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
from apps.recognition.networks.labels import MASKS, MEDICAL_MASK, MISSING, OCCLUDED
from apps.recognition.networks.specs import Manifest

OCCLUSION_OUTPUT = "occlusion"
MOUTH_HIDDEN = "mouth_hidden"
WORN = {MEDICAL_MASK: ("correct", "mouth"), MISSING: ("clear", "chin"), OCCLUDED: ("partially", "full")}


@dataclass(frozen=True, slots=True)
class Mask(Labelled):
    """Mask. `occlusion`: scores by way of wearing, None without a network for it."""

    occlusion: Mapping[str, float] | None

    @property
    def predominant_occlusion(self) -> str | None:
        """Most probable way of wearing, of those of the predominant label."""
        if self.occlusion is None:
            return None
        ways = [way for way in WORN[self.predominant] if way in self.occlusion] or list(self.occlusion)
        return max(ways, key=self.occlusion.__getitem__)


class MaskOcclusionJson(TypedDict):
    predominant_occlusion: str | None
    estimations: dict[str, float]


class MaskJson(TypedDict):
    """Mask, or another cover of mouth and nose."""

    predominant_mask: Annotated[str, OneOf(MASKS)]
    estimations: Annotated[dict[str, float], Keys(MASKS)]
    face_occlusion: MaskOcclusionJson | None


class MaskEstimator(Estimator):
    """Estimator with one run of the network per face, or two if it has the output `occlusion`."""

    name = "mask"
    needs = ("mesh",)
    wants = ("face_occlusion",)
    tasks = ("mask",)
    result = Mask

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Mask]:
        """Estimate each face."""
        network = networks.for_task("mask")
        covered = [covered_parts(subject) for subject in subjects]
        found = label_scores(subjects, networks, "mask")
        scores = [_with_parts(each, parts, network) for each, parts in zip(found, covered, strict=True)]
        if all(output.name != OCCLUSION_OUTPUT for output in network.outputs):
            return [Mask(each, _worn(each, parts)) for each, parts in zip(scores, covered, strict=True)]
        worn = output_scores(subjects, networks, network, OCCLUSION_OUTPUT)
        return [Mask(each, occlusion) for each, occlusion in zip(scores, worn, strict=True)]

    def json(self, result: Mask) -> MaskJson:
        """Return `{predominant_mask, estimations, face_occlusion}`; the last is null without a network for it."""
        occlusion: MaskOcclusionJson | None = None
        if result.occlusion is not None:
            estimations = shapes.scores(result.occlusion)
            occlusion = {"predominant_occlusion": result.predominant_occlusion, "estimations": estimations}
        return {
            "predominant_mask": result.predominant,
            "estimations": shapes.scores(result.scores),
            "face_occlusion": occlusion,
        }

    def mean(self, results: Sequence[Mask]) -> Mask:
        """Return the mean score of each label."""
        worn = [each.occlusion for each in results if each.occlusion is not None]
        return Mask(mean_scores([each.scores for each in results]), mean_scores(worn) if worn else None)

    def columns(self, result: Mask) -> Mapping[str, int]:
        """Return the number of the predominant label."""
        return {"mask": enums.Mask.of(result.predominant)}


def _with_parts(scores: Scores, parts: Mapping[str, float], network: Manifest) -> Scores:
    """Return the scores by the network's thresholds and the covered parts."""
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
    """Return the way of wearing by the covered parts, None if they are unknown; it never is a mask on the chin."""
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
