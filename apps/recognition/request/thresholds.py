"""Thresholds of predictions (liveness, deepfake): the platform's, or a client's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from apps.recognition.estimators.deepfake import Deepfake
from apps.recognition.estimators.liveness import Liveness
from apps.recognition.types import ImageResult


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionThresholds:
    """Thresholds 0..1; None keeps the estimator's prediction. `liveness_quality`: liveness below it is unknown.

    `deepfake_first_look`: whether the preliminary network contributes to the prediction.
    """

    liveness: float | None = None
    liveness_quality: float | None = None
    deepfake: float | None = None
    deepfake_first_look: bool = True

    def over(self, others: "PredictionThresholds") -> "PredictionThresholds":
        """Return these thresholds, completed by `others`."""
        return PredictionThresholds(
            liveness=others.liveness if self.liveness is None else self.liveness,
            liveness_quality=others.liveness_quality if self.liveness_quality is None else self.liveness_quality,
            deepfake=others.deepfake if self.deepfake is None else self.deepfake,
            deepfake_first_look=self.deepfake_first_look,
        )


def judged(result: ImageResult, thresholds: PredictionThresholds) -> ImageResult:
    """Return the result with predictions by these thresholds."""
    faces = [replace(face, estimations=_judged(face.estimations, thresholds)) for face in result.faces]
    return replace(result, faces=tuple(faces))


def _judged(estimations: Mapping[str, object], thresholds: PredictionThresholds) -> Mapping[str, object]:
    changed = dict(estimations)
    liveness, deepfake = changed.get("liveness"), changed.get("deepfake")
    if isinstance(liveness, Liveness):
        changed["liveness"] = replace(
            liveness,
            threshold=liveness.threshold if thresholds.liveness is None else thresholds.liveness,
            quality_threshold=(
                liveness.quality_threshold if thresholds.liveness_quality is None else thresholds.liveness_quality
            ),
        )
    if isinstance(deepfake, Deepfake):
        changed["deepfake"] = replace(
            deepfake,
            threshold=deepfake.threshold if thresholds.deepfake is None else thresholds.deepfake,
            looks_fake=deepfake.looks_fake and thresholds.deepfake_first_look,
        )
    return MappingProxyType(changed)
