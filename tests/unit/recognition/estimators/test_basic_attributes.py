"""Age and sex by two networks: whose answer counts when. The answers of the networks are given by the tests."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from apps.recognition.engine.core import Engine
from apps.recognition.engine.mesh import Mesh
from apps.recognition.engine.warps import WARP_TEMPLATE
from apps.recognition.estimators.base import Networks, Subject
from apps.recognition.estimators.basic_attributes import BasicAttributesEstimator
from apps.recognition.networks.specs import Manifest

FIRST, SECOND = "faceapi-age-gender", "faceres"


class Answers(Networks):
    """Networks that answer with given ages, one a face."""

    def __init__(self, engine: Engine, first: list[float], second: list[float], *, serving: str = FIRST) -> None:
        self.engine, self.serving = engine, serving
        self.ages = {FIRST: first, SECOND: second}
        self.asked = {FIRST: 0, SECOND: 0}

    def for_task(self, task: str) -> Manifest:
        return self.manifest(self.serving)

    def manifest(self, network: str) -> Manifest:
        return self.engine.manifest(network)

    def for_descriptor(self, task: str) -> Manifest:
        return self.for_task(task)

    def run(self, network: str, crops: np.ndarray) -> dict[str, Any]:
        count = len(crops) // 2
        self.asked[network] += count
        ages = np.array(self.ages[network][:count] * 2, np.float32)
        if network == FIRST:
            return {"age": ages[:, None], "gender": np.tile(np.array([[0.9, 0.1]], np.float32), (len(crops), 1))}
        return {"age": np.eye(100, dtype=np.float32)[ages.astype(int)], "gender": np.full((len(crops), 1), 0.2)}

    def start(self, network: str, crops: np.ndarray) -> Callable[[], dict[str, Any]]:
        return partial(self.run, network, crops)


def subjects(count: int) -> list[Subject]:
    points = np.tile(WARP_TEMPLATE.astype(np.float32), (94, 1))[:468]
    mesh = Mesh(points, np.zeros((468, 3), np.float32), 1.0, np.eye(2, 3))
    image = np.zeros((250, 250, 3), np.uint8)
    box, five = np.array([0, 0, 250, 250], np.float32), WARP_TEMPLATE.astype(np.float32)
    return [Subject(image, box, 1.0, five, image, five, np.eye(2, 3), {"mesh": mesh}) for _ in range(count)]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(8.0, 30.0, 8), (24.0, 40.0, 24), (29.0, 36.5, 32), (40.0, 45.5, 45), (51.0, 35.5, 48), (70.0, 40.0, 70)],
)
def test_the_second_network_counts_in_the_middle_of_life(
    engine: Engine, first: float, second: float, expected: int
) -> None:
    """`second`: age of the network before the correction by 4.5 years."""
    (found,) = BasicAttributesEstimator().estimate(subjects(1), Answers(engine, [first], [second]))
    assert found.age == pytest.approx(expected, abs=1)
    assert (found.gender, found.male) == (1, pytest.approx(0.9))  # sex is the first network's


def test_the_second_network_is_asked_only_for_those_whose_age_it_tells(engine: Engine) -> None:
    answers = Answers(engine, [8.0, 40.0, 70.0], [45.0])
    assert [each.age for each in BasicAttributesEstimator().estimate(subjects(3), answers)] == [8, 45, 70]
    assert answers.asked == {FIRST: 3, SECOND: 1}


@pytest.mark.parametrize(("said", "age"), [(35.0, 40), (2.0, 2), (0.0, 0)])
def test_faceres_alone_adds_what_adults_lack_and_children_less(engine: Engine, said: float, age: int) -> None:
    answers = Answers(engine, [], [said], serving=SECOND)
    (found,) = BasicAttributesEstimator().estimate(subjects(1), answers)
    assert found.age == age
    assert found.gender == 0


def test_no_age_is_below_zero(engine: Engine) -> None:
    (found,) = BasicAttributesEstimator().estimate(subjects(1), Answers(engine, [-1.5], []))
    assert found.age == 0
