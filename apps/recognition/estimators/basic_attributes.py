"""Age and sex by two networks on the detector's box, each as the mean of the crop and its mirror image.

face-api's network (after V. Mühler's face-api.js) answers sex and age. FaceRes (after A. Savchenko, HSE_FaceRec_tf)
joins in for the age of people in their forties, where it is better and face-api's is worse than elsewhere
(docs/estimators.md). It stays silent about children and the old, whom it draws to the middle. Where FaceRes alone
serves the task, its age of adults comes out 4 to 5 years too young, so 4.5 years are added, less below 20.
`ethnicities` is None without a network for it, as in the embedded set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.common.filters import enums
from apps.recognition.engine.geometry import mirrored
from apps.recognition.estimators import shapes
from apps.recognition.estimators.base import Estimator, Networks, Subject
from apps.recognition.estimators.ethnicity import Ethnicities
from apps.recognition.estimators.labelled import face_crops, mean_scores
from apps.recognition.estimators.shapes import Json
from apps.recognition.networks.specs import Manifest

TOO_YOUNG_YEARS = 4.5
GROWN_UP_YEARS = 20.0
MEAN_MALE_FROM = 0.5
# Years by the first network, and the share of its companion's age at each of them.
BLEND_YEARS, BLEND_SHARES = (25.0, 33.0, 45.0, 57.0), (0.0, 0.5, 0.5, 0.0)


@dataclass(frozen=True, slots=True)
class BasicAttributes:
    """`age` in years, `gender` 0 female, 1 male; `male` the probability behind it."""

    age: int
    gender: int
    male: float
    ethnicities: Ethnicities | None = None


class BasicAttributesEstimator(Estimator):
    """Two runs of the network a face, two more of its companion where its age counts."""

    name = "basic_attributes"
    needs = ("mesh",)
    wants = ("ethnicity",)
    tasks = ("age_sex",)
    result = BasicAttributes

    def estimate(self, subjects: Sequence[Subject], networks: Networks) -> Sequence[BasicAttributes]:
        """Of every face."""
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

    def json(self, result: BasicAttributes) -> Json:
        """`{age, gender, ethnicities}`; `ethnicities` is null where no network tells them."""
        ethnicities = None
        if result.ethnicities is not None:
            scores = shapes.scores(result.ethnicities.scores)
            ethnicities = {"predominant_ethnicity": result.ethnicities.predominant, "estimations": scores}
        return {"age": result.age, "gender": result.gender, "ethnicities": ethnicities}

    def mean(self, results: Sequence[BasicAttributes]) -> BasicAttributes:
        """Mean age and probability of male; ethnicities of those that have them."""
        male = float(np.mean([each.male for each in results]))
        ethnicities = [each.ethnicities.scores for each in results if each.ethnicities is not None]
        return BasicAttributes(
            age=round(float(np.mean([each.age for each in results]))),
            gender=int(male > MEAN_MALE_FROM),
            male=male,
            ethnicities=Ethnicities(mean_scores(ethnicities)) if ethnicities else None,
        )

    def columns(self, result: BasicAttributes) -> Mapping[str, int | None]:
        """Years and numbers."""
        ethnicities = result.ethnicities
        return {
            "age": result.age,
            "gender": result.gender,
            "ethnic_group": None if ethnicities is None else enums.EthnicGroup.of(ethnicities.predominant),
        }


def _answers(
    subjects: Sequence[Subject], networks: Networks, network: Manifest
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One network's years and probability of male for every face, both float64 [N]."""
    crops = face_crops(subjects, network.input)
    outputs = networks.run(network.name, np.concatenate([crops, mirrored(crops)]))
    male = outputs["gender"].reshape(2, len(subjects), -1).mean(0)[:, network.labels_of("gender").index("male")]
    ages = outputs["age"].reshape(2, len(subjects), -1).mean(0).astype(np.float64)
    years = ages[:, 0] if ages.shape[1] == 1 else corrected(ages @ np.arange(ages.shape[1]) / ages.sum(1))
    return years, male.astype(np.float64)


def corrected(years: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ages of a network of classes without its known error."""
    return np.asarray(years + TOO_YOUNG_YEARS * np.minimum(1.0, years / GROWN_UP_YEARS))


ESTIMATOR = BasicAttributesEstimator()
