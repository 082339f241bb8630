"""Builder of recognition requests, shared by all resources."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.common.fields import FlagField
from apps.common.filters.kinds import FiniteFloatField
from apps.licenses.document import Feature
from apps.licenses.requests import ESTIMATIONS as LICENSED
from apps.licenses.selectors import grant_require, is_open, license_require
from apps.recognition.checks.thresholds import Threshold
from apps.recognition.estimators.registry import all_estimators
from apps.recognition.request.screening import Limits
from apps.recognition.request.thresholds import PredictionThresholds
from apps.recognition.types import MultifacePolicy, Plan

ANGLES = ("pitch", "roll", "yaw")
MAX_ANGLE_DEGREES = 180.0
DESCRIPTORS = frozenset({"face_descriptor", "body_descriptor"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionRequest:
    """Plan of the engine for each picture, and limits for its persons."""

    plan: Plan
    limits: Limits


def recognition_request(
    *,
    faces: bool = True,
    bodies: bool = False,
    estimations: Collection[str] = (),
    multiface: MultifacePolicy = MultifacePolicy.ALL,
    use_exif: bool = True,
    extract_exif: bool = False,
    score_threshold: float | None = None,
    descriptor_version: int | None = None,
    face_warps: bool = False,
    body_warps: bool = False,
    angles: Mapping[str, float] | None = None,
    states: Mapping[str, Sequence[int]] | None = None,
    predictions: PredictionThresholds | None = None,
    descriptor_score: float = 0.0,
    checks: Mapping[str, Threshold] | None = None,
    must_pass_checks: bool = False,
    unmeasured_passes: bool = False,
    optional: bool = False,
) -> RecognitionRequest:
    """Return the plan and the limits; the plan includes the estimations that the limits need.

    `estimations`: names of the vocabulary. `angles`: largest |pitch|, |roll| and |yaw| in degrees; 180 accepts all.
    `states`: accepted numbers by estimation; an empty sequence accepts all. `optional`: an estimation without an
    installed network is None instead of an error, unless a limit needs it. `descriptor_version` applies only if the
    estimations include a descriptor. The other arguments are members of `Plan` and `Limits`. Raises the errors of
    `license_require`, and those of `grant_require` for estimations that the licence excludes.
    """
    limits = Limits(
        angles={angle: limit for angle, limit in (angles or {}).items() if limit < MAX_ANGLE_DEGREES},
        states={name: tuple(numbers) for name, numbers in (states or {}).items() if numbers},
        predictions=predictions or PredictionThresholds(),
        descriptor_score=descriptor_score,
        checks=checks or {},
        must_pass_checks=must_pass_checks,
        unmeasured_passes=unmeasured_passes,
    )
    wanted = frozenset(estimations) | limits.estimators
    _require_licensed(wanted, with_checks=bool(checks))
    plan = Plan(
        detect_face=faces,
        detect_body=bodies,
        estimators=wanted,
        optional=frozenset(estimations) - limits.estimators if optional else frozenset(),
        multiface=multiface,
        use_exif=use_exif,
        extract_exif=extract_exif,
        score_threshold=score_threshold,
        descriptor_version=None if wanted.isdisjoint(DESCRIPTORS) else descriptor_version,
        warp=face_warps,
        body_warp=body_warps,
    )
    return RecognitionRequest(plan=plan, limits=limits)


def _require_licensed(estimations: frozenset[str], *, with_checks: bool) -> None:
    """Require the licence for estimations and image checks. Estimators of checks are free outside of checks."""
    if is_open():
        return
    license_require()
    named = {estimator.feature for name, estimator in all_estimators().items() if name in estimations}
    features = {LICENSED[name] for name in named if name is not None} - {Feature.ISO}
    for feature in sorted(features | ({Feature.ISO} if with_checks else set())):
        grant_require(feature)


def angle_field(**options: Any) -> FiniteFloatField:
    """Return the serializer field of one of the `angles`."""
    text = "Faces turned by this angle or more are rejected, degrees."
    return FiniteFloatField(min_value=0, max_value=MAX_ANGLE_DEGREES, help_text=text, **options)


def estimation_flag(flag: str) -> FlagField:
    """Return the serializer field of a flag that requests an estimation."""
    return FlagField(default=False, help_text=f"Estimate {flag.partition('_')[2].replace('_', ' ')}.")
