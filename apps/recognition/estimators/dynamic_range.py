"""Dynamic range of ISO/IEC 29794-5: Shannon entropy of the luminance histogram of the face region, 8 bits = 1."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.crops import mesh_in_warp
from apps.recognition.estimators.measures import luminance, region
from apps.recognition.estimators.source import is_warp

FULL_BITS = 8.0


@dataclass(frozen=True, slots=True)
class DynamicRange:
    """Dynamic range. `score`: 0..1, 1 if all 256 levels are equally frequent."""

    score: float


class DynamicRangeEstimator(Estimator):
    """Estimator by image statistics inside the hull of the mesh, without a network of its own."""

    name = "dynamic_range"
    feature = "face_quality"
    needs = ("mesh",)

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[DynamicRange | None]:
        """Estimate each face of a picture; None for warps."""
        return [None if is_warp(subject) else DynamicRange(_entropy(subject) / FULL_BITS) for subject in subjects]


def _entropy(subject: Subject) -> float:
    """Return the entropy in bits."""
    face = region(mesh_in_warp(subject), subject.warp.shape[:2])
    levels = np.rint(luminance(subject.warp)[face] * 255).astype(np.intp)
    counts = np.bincount(levels, minlength=256)
    shares = counts[counts > 0] / max(1, levels.size)
    return float(-(shares * np.log2(shares)).sum())


ESTIMATOR = DynamicRangeEstimator()
