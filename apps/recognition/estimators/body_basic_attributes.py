"""Apparent age and sex of a body, taken from its face.

No network estimates them from a body. A body without a face (turned away or too far) has no age and unknown sex.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

from apps.common.filters import enums
from apps.common.json_types import keys, words
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import BodyEstimator, BodySubject, Networks
from apps.recognition.estimators.basic_attributes import BasicAttributes
from apps.recognition.estimators.body_means import known_mean

MALE_FROM = 0.5


@dataclass(frozen=True, slots=True)
class BodyBasicAttributes:
    """Basic attributes of a body. `age`: years. `male`: probability 0..1. Both are None without a face."""

    age: int | None = None
    male: float | None = None

    @property
    def gender(self) -> str:
        """Sex `male`, `female` or `unknown`."""
        if self.male is None:
            return "unknown"
        return "male" if self.male > MALE_FROM else "female"


class ApparentGenderJson(TypedDict):
    predominant_gender: Annotated[str, words(enums.ApparentGender)]
    estimations: Annotated[dict[str, float], keys(enums.ApparentGender)]


class BodyBasicAttributesJson(TypedDict):
    """Basic attributes of a body."""

    apparent_age: Annotated[int | None, "Years."]
    apparent_gender: ApparentGenderJson


class BodyBasicAttributesEstimator(BodyEstimator):
    """Estimator that copies the estimation of the person's face."""

    name = "body_basic_attributes"
    feature = "body_attributes"
    faces = True
    needs = ("basic_attributes",)
    result = BodyBasicAttributes

    def estimate(self, subjects: Sequence[BodySubject], networks: Networks) -> Sequence[BodyBasicAttributes]:
        """Estimate each body."""
        return [_of(body) for body in subjects]

    def json(self, result: BodyBasicAttributes) -> BodyBasicAttributesJson:
        """Return `{apparent_age, apparent_gender}`."""
        known = result.male is not None
        male = result.male or 0.0
        return {
            "apparent_age": result.age,
            "apparent_gender": {
                "predominant_gender": result.gender,
                "estimations": {
                    "male": shapes.score(male),
                    "female": shapes.score(1 - male) if known else 0.0,
                    "unknown": float(not known),
                },
            },
        }

    def mean(self, results: Sequence[BodyBasicAttributes]) -> BodyBasicAttributes:
        """Return the means of the known values."""
        age = known_mean(each.age for each in results)
        return BodyBasicAttributes(None if age is None else round(age), known_mean(each.male for each in results))

    def columns(self, result: BodyBasicAttributes) -> Mapping[str, int | None]:
        """Return the age in years and the number of the sex."""
        return {"apparent_age": result.age, "apparent_gender": enums.ApparentGender.of(result.gender)}


def _of(body: BodySubject) -> BodyBasicAttributes:
    if body.face is None:
        return BodyBasicAttributes()
    face = body.face.result("basic_attributes", BasicAttributes)
    return BodyBasicAttributes(face.age, face.male)


ESTIMATOR = BodyBasicAttributesEstimator()
