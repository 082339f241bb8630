"""Detectors and estimators that are switched off: refused, not announced, their networks not loaded."""

import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.common.config import config
from apps.common.errors import LunaError
from apps.recognition.config import Switches
from apps.recognition.estimators.registry import all_estimators
from apps.recognition.run import facade
from apps.recognition.switches import BODY_WARP, FACE_WARP, SWITCHES, names_off, variable
from luna.embedded.processes import EmbeddedError
from tests.api.handlers.helpers import JPEG, JSON, astronaut
from tests.factories import client_of, make_account

pytestmark = pytest.mark.django_db
Switch = Callable[..., None]


@pytest.fixture
def on(configure: Callable[..., None]) -> Iterator[Switch]:
    """Starts the engine anew with these switches on and all others off."""

    def start(*switches: str) -> None:
        assert set(switches) <= set(SWITCHES)
        configure(Switches, **{switch.replace("-", "_"): switch in switches for switch in SWITCHES})
        facade.shut_down()

    yield start
    facade.shut_down()


def sdk(query: str = "", data: bytes | None = None) -> Any:
    return Client().post(f"/6/sdk?{query}", data or astronaut(), JPEG)


def refused(answer: Any, name: str) -> bool:
    expected = LunaError(200005, name)
    return (answer.status_code, answer.json()["error_code"]) == (expected.status, 200005) and (
        name in answer.json()["detail"]
    )


def test_every_estimator_has_one_switch() -> None:
    names = [name for group in SWITCHES.values() for name in group]
    public = {name for name, estimator in all_estimators().items() if estimator.public}
    assert len(names) == len(set(names))
    assert public <= set(names)
    assert set(names) - public == {"face_detector", "body_detector", "human_detector", FACE_WARP, BODY_WARP}


def test_all_are_on_by_default() -> None:
    assert set(config(Switches).all()) == set(SWITCHES)
    assert names_off(config(Switches).all()) == frozenset()


def test_the_manuals_example(on: Switch) -> None:
    """A face detector and the estimators of a face sample and of emotions, nothing else."""
    on("face-detector", "face-warp-estimator", "emotions-estimator")
    answer = sdk("estimate_emotions=1&estimate_face_warp=1")
    (found,) = answer.json()["images_estimations"][0]["estimations"]
    assert found["face"]["attributes"]["emotions"]["predominant_emotion"]
    assert found["face"]["warp"]
    assert refused(sdk("estimate_gaze=1"), "gaze")
    assert refused(sdk("estimate_face_descriptor=1"), "face_descriptor")
    assert refused(sdk("estimate_landmarks5=1"), "landmarks5")
    assert refused(sdk("detect_face=0&detect_body=1"), "body_detector")
    assert refused(sdk("detect_body=1"), "body_detector")
    assert refused(Client().post("/6/liveness", astronaut(), JPEG), "liveness")


def test_networks_of_what_is_off_are_not_loaded(on: Switch) -> None:
    on("face-detector", "emotions-estimator")
    facade.warm_up()
    status: dict[str, Any] = facade.engine_status()
    assert status["estimators"] == ["emotions"]
    assert set(status["loaded"]) == {status["networks"][task] for task in ("face_detector", "face_mesh", "emotion")}


def test_what_an_estimator_needs_is_made_although_it_is_off(on: Switch) -> None:
    on("face-detector", "gaze-estimator")
    (found,) = sdk("estimate_gaze=1").json()["images_estimations"][0]["estimations"]
    assert found["face"]["attributes"]["gaze"]
    assert refused(sdk("estimate_head_pose=1"), "head_pose")


def test_the_detector_of_both_finds_faces_and_bodies_together_only(on: Switch) -> None:
    on("human-detector")
    assert sdk("detect_body=1").status_code == 200
    assert refused(sdk(), "face_detector")
    assert refused(sdk("detect_face=0&detect_body=1"), "body_detector")


def test_two_detectors_find_both_as_well(on: Switch) -> None:
    on("face-detector", "body-detector")
    assert sdk("detect_body=1").status_code == 200
    assert refused(sdk("detect_body=1&estimate_body_warp=1"), BODY_WARP)
    assert refused(sdk("estimate_face_warp=1"), FACE_WARP)


def test_extraction_from_samples_needs_no_detector(on: Switch) -> None:
    client = client_of(make_account())
    detected = client.post("/6/detector", astronaut(), JPEG).json()
    sample_id = detected["images"][0]["detections"]["samples"][0]["face"]["sample_id"]
    on("face-descriptor-estimator")
    answer = client.post("/6/extractor", [sample_id], JSON)
    assert answer.status_code == 201, answer.json()


def test_samples_are_not_stored_without_their_estimator(on: Switch) -> None:
    on("face-detector")
    assert refused(client_of(make_account()).post("/6/detector", astronaut(), JPEG), FACE_WARP)


def test_features_say_so(on: Switch) -> None:
    def estimations() -> dict[str, bool]:
        found: dict[str, bool] = Client().get("/6/features").json()["estimations"]
        return found

    assert estimations() == {
        "people_counter": True, "face_quality": True, "body_attributes": True, "liveness": True, "deepfake": False,
    }  # fmt: skip
    on("face-detector", "liveness-estimator")
    assert {name for name, there in estimations().items() if there} == {"liveness"}


def test_serve_passes_the_choice_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("all-estimators-by-default", "gaze-estimator", "mask-estimator"):
        monkeypatch.delenv(variable(name), raising=False)
    with patch("luna.management.commands.serve.commands.run") as run, patch.dict(os.environ):
        call_command("serve", "--enable-all-estimators-by-default=0", "--enable-gaze-estimator=1")
        run.assert_called_once()
        assert os.environ["LUNA_ENABLE_ALL_ESTIMATORS_BY_DEFAULT"] == "0"
        assert os.environ["LUNA_ENABLE_GAZE_ESTIMATOR"] == "1"
        assert "LUNA_ENABLE_MASK_ESTIMATOR" not in os.environ


def test_serve_refuses_anything_else() -> None:
    with pytest.raises(CommandError, match="enable-gaze-estimator"):
        call_command("serve", "--enable-gaze-estimator=maybe")


def test_serve_says_why_it_cannot() -> None:
    with (
        patch("luna.management.commands.serve.commands.run", side_effect=EmbeddedError("It runs already.")),
        pytest.raises(CommandError, match="It runs already"),
    ):
        call_command("serve")
