"""Age and sex by two networks on the detector's box, each as the mean of the crop and its mirror image.

face-api's network (after V. Mühler's face-api.js) gives sex and age. FaceRes (after A. Savchenko, HSE_FaceRec_tf)
contributes to ages in the forties, where it is better and face-api's network is at its worst (docs/estimators.md). It
does not contribute to other ages, because it shifts children and old people to the middle. If FaceRes alone serves the
task, its ages of adults are 4 to 5 years too low; 4.5 years are added, and less below 20. `ethnicities` is None
without a network for it, as in the embedded set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypedDict

import numpy as np
from numpy.typing import NDArray

from apps.common.filters import enums
from apps.common.json_types import Keys, OneOf, numbers
from apps.recognition.engine.geometry import mirrored
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.ethnicity import Ethnicities
from apps.recognition.estimators.labelled import face_crops, mean_scores
from apps.recognition.networks.labels import ETHNICITIES
from apps.recognition.networks.specs import Manifest

TOO_YOUNG_YEARS = 4.5
GROWN_UP_YEARS = 20.0
MEAN_MALE_FROM = 0.5
# Ages by the first network, and the weight of its companion's age at each of them.
BLEND_YEARS, BLEND_SHARES = (25.0, 33.0, 45.0, 57.0), (0.0, 0.5, 0.5, 0.0)


@dataclass(frozen=True, slots=True)
class BasicAttributes:
    """Basic attributes. `age`: years. `gender`: 0 female, 1 male. `male`: probability of male."""

    age: int
    gender: int
    male: float
    ethnicities: Ethnicities | None = None


class EthnicitiesJson(TypedDict):
    predominant_ethnicity: Annotated[str, OneOf(ETHNICITIES)]
    estimations: Annotated[dict[str, float], Keys(ETHNICITIES)]


class BasicAttributesJson(TypedDict):
    """Basic attributes of a face."""

    age: Annotated[int, "Years."]
    gender: Annotated[int, numbers(enums.Gender)]
    ethnicities: EthnicitiesJson | None


class BasicAttributesEstimator(Estimator):
    """Estimator with two runs of the network per face, and two of its companion if its age has weight."""

    name = "basic_attributes"
    needs = ("mesh",)
    wants = ("ethnicity",)
    tasks = ("age_sex",)
    result = BasicAttributes

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[BasicAttributes]:
        """Estimate each face."""
        network = networks.for_task("age_sex")
        years, male = _answers(subjects, networks, network)
        for companion in map(networks.manifest, network.companions):
            shares = np.interp(years, BLEND_YEARS, BLEND_SHARES)
            asked = np.flatnonzero(shares).tolist()
            if asked:
                others, _ = _answers([subjects[index] for index in asked], networks, companion)
                years[asked] += shares[asked] * (others - years[asked])
        threshold = network.threshold("male")
        return [
            BasicAttributes(
                age=max(0, round(float(age))),
                gender=int(share > threshold),
                male=float(share),
                ethnicities=subject.result("ethnicity", Ethnicities) if "ethnicity" in subject.results else None,
            )
            for subject, age, share in zip(subjects, years, male, strict=True)
        ]

    def json(self, result: BasicAttributes) -> BasicAttributesJson:
        """Return `{age, gender, ethnicities}`; `ethnicities` is null without a network for it."""
        ethnicities: EthnicitiesJson | None = None
        if result.ethnicities is not None:
            scores = shapes.scores(result.ethnicities.scores)
            ethnicities = {"predominant_ethnicity": result.ethnicities.predominant, "estimations": scores}
        return {"age": result.age, "gender": result.gender, "ethnicities": ethnicities}

    def mean(self, results: Sequence[BasicAttributes]) -> BasicAttributes:
        """Return mean age, mean probability of male, and mean ethnicities of the pictures with ethnicities."""
        male = float(np.mean([each.male for each in results]))
        ethnicities = [each.ethnicities.scores for each in results if each.ethnicities is not None]
        return BasicAttributes(
            age=round(float(np.mean([each.age for each in results]))),
            gender=int(male > MEAN_MALE_FROM),
            male=male,
            ethnicities=Ethnicities(mean_scores(ethnicities)) if ethnicities else None,
        )

    def columns(self, result: BasicAttributes) -> Mapping[str, int | None]:
        """Return the age in years and the numbers of gender and ethnicity."""
        ethnicities = result.ethnicities
        return {
            "age": result.age,
            "gender": result.gender,
            "ethnic_group": None if ethnicities is None else enums.EthnicGroup.of(ethnicities.predominant),
        }


def _answers(
    subjects: Sequence[Subject], networks: Networks, network: Manifest
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return one network's ages in years and probabilities of male for all faces, both float64 [N]."""
    crops = face_crops(subjects, network.input)
    outputs = networks.run(network.name, np.concatenate([crops, mirrored(crops)]))
    male = outputs["gender"].reshape(2, len(subjects), -1).mean(0)[:, network.labels_of("gender").index("male")]
    ages = outputs["age"].reshape(2, len(subjects), -1).mean(0).astype(np.float64)
    years = ages[:, 0] if ages.shape[1] == 1 else corrected(ages @ np.arange(ages.shape[1]) / ages.sum(1))
    return years, male.astype(np.float64)


def corrected(years: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ages with the correction of the network's known error."""
    return np.asarray(years + TOO_YOUNG_YEARS * np.minimum(1.0, years / GROWN_UP_YEARS))


ESTIMATOR = BasicAttributesEstimator()
