"""Apparent age and sex of a body: those of its face.

There is no network that tells them from a body. A body without a face (turned away, too far) has no age and an unknown
sex.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.recognition.estimators.base import BodyEstimator, BodySubject, Networks
from apps.recognition.estimators.basic_attributes import BasicAttributes

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

    def estimate(self, subjects: Sequence[BodySubject], networks: Networks) -> Sequence[BodyBasicAttributes]:
        """Of every body."""
        return [_of(body) for body in subjects]


def _of(body: BodySubject) -> BodyBasicAttributes:
    if body.face is None:
        return BodyBasicAttributes()
    face = body.face.result("basic_attributes", BasicAttributes)
    return BodyBasicAttributes(face.age, face.male)


ESTIMATOR = BodyBasicAttributesEstimator()
