"""Pictures through the engine and through the checks in one go."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from apps.recognition.checks.evaluate import ESTIMATION, check_faces, estimators_for
from apps.recognition.checks.thresholds import Threshold
from apps.recognition.run.facade import available_estimators, recognise
from apps.recognition.types import ImageInput, ImageResult, Plan


def recognise_checked(
    images: Sequence[ImageInput], plan: Plan, thresholds: Mapping[str, Threshold], *, unmeasured_passes: bool = False
) -> list[ImageResult]:
    """As `facade.recognise`; every face has a `CheckReport` under "face_quality" when there are `thresholds`.

    "face_quality" in the plan's estimators is no estimator, but says that checks are wanted: without `thresholds` it is
    ignored. Checks whose estimator is not available measure nothing, and pass only where `unmeasured_passes`.
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
