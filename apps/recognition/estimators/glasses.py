"""Glasses by a classification network with the platform's labels, or only the label `no_glasses`.

If the network has only `no_glasses`, the network of the task `face_occlusion` separates eyeglasses from sunglasses,
which hide both eyes. The result of a masked face is None if a network detects masks, because the network of the pack
`recommended` is wrong in two of five such cases. The embedded set has no network of the task `glasses`; without one the
estimator is unavailable.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, TypedDict

from apps.common.json_types import OneOf
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.face_occlusion import OCCLUDED_THRESHOLD, covered_parts
from apps.recognition.estimators.labelled import Labelled, Scores, centred, label_scores
from apps.recognition.estimators.mask import Mask
from apps.recognition.networks.labels import BARE, EYEGLASSES, GLASSES, MISSING, SUNGLASSES
from apps.recognition.networks.specs import Manifest


class Glasses(Labelled):
    """Scores 0..1 by label; labels are `GLASSES` of apps.recognition.networks.labels, or some of them."""

    __slots__ = ()


class GlassesJson(TypedDict):
    glasses: Annotated[str, OneOf(GLASSES)]


class GlassesEstimator(Estimator):
    """Estimator with one run of the network per face."""

    name = "glasses"
    needs = ("mesh",)
    wants = ("mask", "face_occlusion")
    tasks = ("glasses",)
    result = Glasses

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[Glasses | None]:
        """Estimate each face; None for masked faces."""
        network = networks.for_task("glasses")
        return [
            None if _is_masked(subject) else Glasses(_told_apart(scores, covered_parts(subject), network))
            for subject, scores in zip(subjects, label_scores(subjects, networks, "glasses"), strict=True)
        ]

    def json(self, result: Glasses) -> GlassesJson:
        """Return `{glasses}`."""
        return {"glasses": result.predominant}


def _is_masked(subject: Subject) -> bool:
    mask = subject.results.get("mask")
    return isinstance(mask, Mask) and mask.predominant != MISSING


def _told_apart(scores: Scores, covered: Mapping[str, float], network: Manifest) -> Scores:
    """Return `scores`; if they have only `no_glasses`, add the kind of glasses by the covered eyes."""
    if set(scores) != {BARE}:
        return scores
    bare = centred(scores[BARE], dict(network.thresholds).get(BARE, 0.5))
    eyes = [covered.get("left_eye", 0.0), covered.get("right_eye", 0.0)]
    kind, other = (SUNGLASSES, EYEGLASSES) if min(eyes) >= OCCLUDED_THRESHOLD else (EYEGLASSES, SUNGLASSES)
    return {BARE: bare, kind: 1 - bare, other: 0.0}


ESTIMATOR = GlassesEstimator()
