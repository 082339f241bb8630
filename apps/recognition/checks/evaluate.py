"""Evaluation of checks on a face: value and result of each, and a status of all."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, TypedDict

from apps.common.json_types import OneOf
from apps.recognition.checks.table import CHECKS, Evidence
from apps.recognition.checks.thresholds import Threshold, Value
from apps.recognition.types import ImageInput, ImageResult, ImageType

DECIMALS = 4
ESTIMATION = "face_quality"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Result of one check. `value` is None if it was not measured; the caller determines whether that passes."""

    name: str
    value: Value
    threshold: Threshold
    passed: bool


class CheckJson(TypedDict):
    """One check. `object_value` is null if it was not measured; a setting determines `result` then."""

    name: Annotated[str, OneOf(tuple(CHECKS))]
    object_value: Annotated[object, "Number or word."]
    threshold_value: Annotated[object, "`{min, max}`, array of words, or 0 or 1."]
    result: Annotated[int, "1: passed."]


class CheckReportJson(TypedDict):
    """All checks of a face's picture."""

    status: Annotated[int, "1: all checks passed."]
    checks: list[CheckJson]
    unmeasured_checks: Annotated[list[str], "Names of the checks without a value."]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Results of all evaluated checks of a face."""

    checks: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether all checks passed."""
        return all(check.passed for check in self.checks)

    def json(self) -> CheckReportJson:
        """Return `{status, checks, unmeasured_checks}`; `status` is 1 if all checks passed."""
        return {
            "status": int(self.passed),
            "checks": [
                {
                    "name": check.name,
                    "object_value": check.value,
                    "threshold_value": check.threshold.json(),
                    "result": int(check.passed),
                }
                for check in self.checks
            ],
            "unmeasured_checks": [check.name for check in self.checks if check.value is None],
        }


def estimators_for(names: Iterable[str], available: Collection[str]) -> frozenset[str]:
    """Return the available estimators that a plan needs for the checks `names`."""
    return frozenset(need for name in names if (need := CHECKS[name].needs) is not None and need in available)


def check_faces(
    image: ImageInput, result: ImageResult, thresholds: Mapping[str, Threshold], *, unmeasured_passes: bool = False
) -> ImageResult:
    """Return `result` with a `CheckReport` in the estimations of each face, under "face_quality".

    `thresholds`: the checks to evaluate, by name; the plan must include `estimators_for` them. `unmeasured_passes`:
    whether a check without a value passes.
    """
    return replace(
        result,
        faces=tuple(
            replace(
                face,
                estimations=MappingProxyType(
                    {
                        **face.estimations,
                        ESTIMATION: check_face(
                            Evidence(image, result, face), thresholds, unmeasured_passes=unmeasured_passes
                        ),
                    }
                ),
            )
            for face in result.faces
        ),
    )


def check_face(
    evidence: Evidence, thresholds: Mapping[str, Threshold], *, unmeasured_passes: bool = False
) -> CheckReport:
    """Return one result per threshold, in the order of the table."""
    return CheckReport(
        tuple(_result(evidence, name, thresholds[name], unmeasured_passes) for name in CHECKS if name in thresholds)
    )


def _result(evidence: Evidence, name: str, threshold: Threshold, unmeasured_passes: bool) -> CheckResult:
    check = CHECKS[name]
    is_warp = evidence.image.image_type is not ImageType.RAW
    value = None if check.from_source and is_warp else check.measure(evidence)
    if isinstance(value, float):
        value = round(value, DECIMALS)
    passed = threshold.accepts(value) or (value is None and unmeasured_passes)
    return CheckResult(name, value, threshold, passed)
