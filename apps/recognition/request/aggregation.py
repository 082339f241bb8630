"""One set of estimations from several pictures of one person: the mean of what each picture says."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TypeVar

import numpy as np

from apps.common.descriptors import Descriptor, normalised
from apps.recognition.estimators.basic_attributes import BasicAttributes
from apps.recognition.estimators.deepfake import Deepfake
from apps.recognition.estimators.emotions import Emotions
from apps.recognition.estimators.ethnicity import Ethnicities
from apps.recognition.estimators.labelled import mean_scores
from apps.recognition.estimators.liveness import Liveness
from apps.recognition.estimators.mask import Mask

T = TypeVar("T")
MALE_THRESHOLD = 0.5


def aggregate(estimations: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """What is averaged over the faces of one person, by API name: descriptor, basic attributes, emotions, mask,
    liveness and deepfake; what none of them has is left out.

    The descriptor is the mean of the unit vectors, brought to length 1; its score the mean of the scores.
    """
    results: dict[str, object] = {}
    if descriptors := every(estimations, "face_descriptor", Descriptor):
        results["face_descriptor"] = mean_descriptor(descriptors)
    if basics := every(estimations, "basic_attributes", BasicAttributes):
        male = float(np.mean([each.male for each in basics]))
        age = round(float(np.mean([each.age for each in basics])))
        results["basic_attributes"] = BasicAttributes(
            age=age,
            gender=int(male > MALE_THRESHOLD),
            male=male,
            ethnicities=_mean_ethnicities([each.ethnicities for each in basics if each.ethnicities is not None]),
        )
    if emotions := every(estimations, "emotions", Emotions):
        means = {each.name: float(np.mean([getattr(one, each.name) for one in emotions])) for each in fields(Emotions)}
        results["emotions"] = Emotions(**means)
    if liveness := every(estimations, "liveness", Liveness):
        probability, quality = np.mean([[each.probability, each.quality] for each in liveness], 0)
        results["liveness"] = replace(liveness[0], probability=float(probability), quality=float(quality))
    if masks := every(estimations, "mask", Mask):
        worn = [each.occlusion for each in masks if each.occlusion is not None]
        results["mask"] = Mask(mean_scores([each.scores for each in masks]), mean_scores(worn) if worn else None)
    if deepfakes := every(estimations, "deepfake", Deepfake):
        score = float(np.mean([each.score for each in deepfakes]))
        results["deepfake"] = replace(deepfakes[0], real=score, looks_fake=False)
    return results


def _mean_ethnicities(found: Sequence[Ethnicities]) -> Ethnicities | None:
    return Ethnicities(mean_scores([each.scores for each in found])) if found else None


def mean_descriptor(descriptors: Sequence[Descriptor]) -> Descriptor:
    """Of one version: the mean vector at length 1, the mean score."""
    vector = normalised(np.mean([each.vector for each in descriptors], axis=0))
    return Descriptor(descriptors[0].version, vector, float(np.mean([each.score for each in descriptors])))


def every(estimations: Sequence[Mapping[str, object]], name: str, kind: type[T]) -> list[T]:
    """What an estimator said, of those of which it said something."""
    return [value for found in estimations if isinstance(value := found.get(name), kind)]
