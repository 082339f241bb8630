"""Recognition of pictures with image checks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from apps.recognition.checks.evaluate import ESTIMATION, check_faces, estimators_for
from apps.recognition.checks.thresholds import Threshold
from apps.recognition.run.facade import available_estimators, recognise
from apps.recognition.types import ImageInput, ImageResult, Plan


def recognise_checked(
    images: Sequence[ImageInput], plan: Plan, thresholds: Mapping[str, Threshold], *, unmeasured_passes: bool = False
) -> list[ImageResult]:
    """Recognise pictures as `facade.recognise`, and add a `CheckReport` to each face if `thresholds` is not empty.

    "face_quality" in the plan's estimators is not an estimator: it requests the report, and is ignored without
    `thresholds`. A check whose estimator is not available has no value, and passes only if `unmeasured_passes`.
    """
    wanted = plan.estimators - {ESTIMATION}
    if not thresholds:
        return recognise(images, replace(plan, estimators=wanted))
    needed = estimators_for(thresholds, available_estimators())
    results = recognise(images, replace(plan, estimators=wanted | needed))
    return [
        check_faces(image, result, thresholds, unmeasured_passes=unmeasured_passes)
        for image, result in zip(images, results, strict=True)
    ]
