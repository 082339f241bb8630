"""Whether pictures can be recognised."""

import pytest

from apps.monitoring.features import ESTIMATIONS
from apps.recognition.estimators.registry import all_estimators
from apps.recognition.health import features_available, recognition_check
from apps.recognition.run import facade


def test_with_networks() -> None:
    recognition_check()
    assert features_available() == {"people_counter", "face_quality", "body_attributes", "liveness"}


def test_every_feature_is_one_of_the_platforms() -> None:
    assert {each.feature for each in all_estimators().values()} == {*ESTIMATIONS, None}


@pytest.mark.parametrize(
    ("names", "features"),
    [
        ({"head_pose", "quality", "face_descriptor"}, set()),
        ({"deepfake"}, {"deepfake"}),
        ({"red_eyes"}, {"face_quality"}),
        ({"accessories", "people_count"}, {"body_attributes", "people_counter"}),
    ],
)
def test_features_are_those_of_the_estimators(
    monkeypatch: pytest.MonkeyPatch, names: set[str], features: set[str]
) -> None:
    monkeypatch.setattr(facade, "available_estimators", lambda: frozenset(names))
    assert features_available() == features


def test_without_a_face_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    status = {**facade.engine_status(), "networks": {"face_mesh": "mesh"}}
    monkeypatch.setattr(facade, "engine_status", lambda: status)
    with pytest.raises(RuntimeError, match="networks build"):
        recognition_check()
