"""One set of estimations from several pictures of one person: the mean of what each picture says."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TypeVar

import numpy as np

from apps.common.descriptors import normalised
from apps.recognition.estimators.basic_attributes import BasicAttributes
from apps.recognition.estimators.emotions import Emotions
from apps.recognition.estimators.face_descriptor import Descriptor

T = TypeVar("T")
MALE_THRESHOLD = 0.5


def aggregate(estimations: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Descriptor, basic attributes and emotions of faces of one person, by API name; what none of them has is left out.

    The descriptor is the mean of the unit vectors, brought to length 1; its score the mean of the scores.
    """
    results: dict[str, object] = {}
    if descriptors := _every(estimations, "face_descriptor", Descriptor):
        vector = normalised(np.mean([each.vector for each in descriptors], axis=0))
        score = float(np.mean([each.score for each in descriptors]))
        results["face_descriptor"] = Descriptor(descriptors[0].version, vector, score)
    if basics := _every(estimations, "basic_attributes", BasicAttributes):
        male = float(np.mean([each.male for each in basics]))
        age = round(float(np.mean([each.age for each in basics])))
        results["basic_attributes"] = BasicAttributes(age=age, gender=int(male > MALE_THRESHOLD), male=male)
    if emotions := _every(estimations, "emotions", Emotions):
        means = {each.name: float(np.mean([getattr(one, each.name) for one in emotions])) for each in fields(Emotions)}
        results["emotions"] = Emotions(**means)
    return results


def _every(estimations: Sequence[Mapping[str, object]], name: str, kind: type[T]) -> list[T]:
    return [value for found in estimations if isinstance(value := found.get(name), kind)]
