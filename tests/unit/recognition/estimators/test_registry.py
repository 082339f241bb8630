"""Plans: order of dependencies, each step once, missing estimators by name."""

import pytest

from apps.common.errors import LunaError
from apps.recognition.estimators.registry import all_estimators, available, ordered
from apps.recognition.networks.manifest import TASKS


def test_needs_come_before_and_once() -> None:
    names = [estimator.name for estimator in ordered({"gaze", "eyes_attributes", "mouth_attributes"}, TASKS)]
    assert len(names) == len(set(names))
    for position, name in enumerate(names):
        assert set(all_estimators()[name].needs) <= set(names[:position])


def test_nothing_is_run_that_nobody_needs() -> None:
    assert [estimator.name for estimator in ordered({"face_descriptor"}, TASKS)] == ["face_descriptor"]
    assert ordered((), TASKS) == ()


@pytest.mark.parametrize(
    ("name", "missing"), [("gaze", "iris"), ("mouth_attributes", "emotion"), ("face_descriptor", "face_descriptor")]
)
def test_a_missing_network_is_told_by_the_name_asked_for(name: str, missing: str) -> None:
    tasks = set(TASKS) - {missing}
    with pytest.raises(LunaError) as caught:
        ordered({name}, tasks)
    assert caught.value.code == 200005
    assert name in caught.value.detail
    assert name not in available(tasks)
    assert name in available(TASKS)


def test_every_estimator_names_known_tasks_and_needs() -> None:
    for name, estimator in all_estimators().items():
        assert estimator.name == name
        assert set(estimator.tasks) <= set(TASKS)
        assert set(estimator.needs) <= set(all_estimators())
