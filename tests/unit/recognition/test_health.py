"""Whether pictures can be recognised."""

import pytest

from apps.recognition import facade
from apps.recognition.health import estimators_available, recognition_check


def test_with_networks() -> None:
    recognition_check()
    assert {"face_descriptor", "head_pose"} <= set(estimators_available())


def test_without_a_face_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    status = {**facade.engine_status(), "networks": {"face_mesh": "mesh"}}
    monkeypatch.setattr(facade, "engine_status", lambda: status)
    with pytest.raises(RuntimeError, match="networks build"):
        recognition_check()
