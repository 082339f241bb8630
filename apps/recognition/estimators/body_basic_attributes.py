"""Apparent age and sex of a body: those of its face.

There is no network that tells them from a body. A body without a face (turned away, too far) has no age and an unknown
sex.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apps.common.filters import enums
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import BodyEstimator, BodySubject, Networks
from apps.recognition.estimators.basic_attributes import BasicAttributes
from apps.recognition.estimators.body_means import known_mean
from apps.recognition.estimators.shapes import Json

MALE_FROM = 0.5


@dataclass(frozen=True, slots=True)
class BodyBasicAttributes:
    """`age` in years; `male` 0..1, the probability. None where there is no face."""

    age: int | None = None
    male: float | None = None

    @property
    def gender(self) -> str:
        """`male`, `female` or `unknown`."""
        if self.male is None:
            return "unknown"
        return "male" if self.male > MALE_FROM else "female"


class BodyBasicAttributesEstimator(BodyEstimator):
    """What is said of the face of the same person."""

    name = "body_basic_attributes"
    feature = "body_attributes"
    faces = True
    needs = ("basic_attributes",)
    result = BodyBasicAttributes

    def estimate(self, subjects: Sequence[BodySubject], networks: Networks) -> Sequence[BodyBasicAttributes]:
        """Of every body."""
        return [_of(body) for body in subjects]

    def json(self, result: BodyBasicAttributes) -> Json:
        """`{apparent_age, apparent_gender}`."""
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
        """Means of what is known."""
        age = known_mean(each.age for each in results)
        return BodyBasicAttributes(None if age is None else round(age), known_mean(each.male for each in results))

    def columns(self, result: BodyBasicAttributes) -> Mapping[str, int | None]:
        """Years and number."""
        return {"apparent_age": result.age, "apparent_gender": enums.ApparentGender.of(result.gender)}


def _of(body: BodySubject) -> BodyBasicAttributes:
    if body.face is None:
        return BodyBasicAttributes()
    face = body.face.result("basic_attributes", BasicAttributes)
    return BodyBasicAttributes(face.age, face.male)


ESTIMATOR = BodyBasicAttributesEstimator()
