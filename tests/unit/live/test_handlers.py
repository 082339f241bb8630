"""Settings of handlers and of requests with pictures."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fetch import Fetched, Timeouts
from apps.common.validation import checked_data
from apps.handlers.api import event_views
from apps.handlers.api.raw_serializers import RawEventBody
from apps.handlers.policies import policies_parse
from apps.recognition.api import iso, sdk
from apps.recognition.inputs import sources
from tests.factories import client_of
from tests.unit.live.conftest import Store
from tests.unit.live.table import live

JSON = "application/json"


def stop(*_: object, **__: object) -> None:
    """End a request that has passed the checks."""
    raise LunaError(errors.NO_FACES_FOUND)


def pictures() -> dict[str, Any]:
    return {f"{number}.jpg": SimpleUploadedFile(f"{number}.jpg", b"\xff\xd8", "image/jpeg") for number in range(2)}


@live("LUNA_HANDLERS_LIMITS.received_images_limit")
def test_pictures_of_a_handler(store: Store, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_views, "generate_events", stop)
    client = client_of(account)
    handler = client.post("/6/handlers", {"policies": {}}, JSON).json()["url"]
    assert client.post(f"{handler}/events", pictures()).json()["error_code"] == errors.NO_FACES_FOUND
    store("LUNA_HANDLERS_LIMITS", received_images_limit=1)
    answer = client.post(f"{handler}/events", pictures())
    assert (answer.status_code, answer.json()["error_code"]) == (400, errors.BAD_IMAGE_LIST)


@live("LUNA_REMOTE_SDK_LIMITS.received_images_limit")
def test_pictures_of_estimations(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "recognise_pictures", stop)
    client = Client()
    assert client.post("/6/sdk", pictures()).json()["error_code"] == errors.NO_FACES_FOUND
    store("LUNA_REMOTE_SDK_LIMITS", received_images_limit=1)
    assert client.post("/6/sdk", pictures()).json()["error_code"] == errors.BAD_IMAGE_LIST


@live("LUNA_HANDLERS_LIMITS.result_candidate_limit")
def test_results_of_a_policy(store: Store) -> None:
    policies = {"match_policy": [{"label": "x", "candidates": {"origin": "faces"}, "limit": 3}]}
    policies_parse(policies)
    store("LUNA_HANDLERS_LIMITS", result_candidate_limit=2)
    with pytest.raises(LunaError, match="less than or equal to 2"):
        policies_parse(policies)


@pytest.mark.parametrize(
    ("name", "member", "item"),
    [("detections", "detections", {"filename": "a", "samples": {}}), ("arrays", "matches", {"label": "a"})],
)
@live("LUNA_HANDLERS_LIMITS.raw_event_detections_limit", "LUNA_HANDLERS_LIMITS.raw_event_arrays_limit")
def test_arrays_of_events(store: Store, name: str, member: str, item: dict[str, Any]) -> None:
    body = {"event_id": str(uuid4()), member: [item] * 3}

    def problem() -> str:
        try:
            checked_data(RawEventBody, body)
        except LunaError as error:
            return error.detail
        return ""

    assert "no more than" not in problem()
    store("LUNA_HANDLERS_LIMITS", **{f"raw_event_{name}_limit": 2})
    assert "no more than 2 elements" in problem()


@live(*(f"FETCH_EXTERNAL_IMAGE_TIMEOUTS.{name}" for name in ("connect", "request", "sock_connect", "sock_request")))
def test_timeouts_of_downloads(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[Timeouts] = []

    def fetched(url: str, *, timeouts: Timeouts, **_: Any) -> Fetched:
        limits.append(timeouts)
        return Fetched(b"", "image/jpeg")

    monkeypatch.setattr(sources, "fetch", fetched)
    usual = {"connect": 50, "sock_connect": 51, "request": 52, "sock_request": 53}
    for name, seconds in (("connect", 5), ("sock_connect", 6), ("request", 7), ("sock_request", 8)):
        store("FETCH_EXTERNAL_IMAGE_TIMEOUTS", **{**usual, name: seconds})
        sources.picture_fetch("http://pictures.example/a.jpg")
    assert limits == [
        Timeouts(52, connect_s=5, silence_s=53),
        Timeouts(52, connect_s=6, silence_s=53),
        Timeouts(7, connect_s=50, silence_s=53),
        Timeouts(52, connect_s=50, silence_s=8),
    ]


@live("LUNA_REMOTE_SDK_MISSING_NETWORKS.refuse_estimations")
def test_estimations_without_a_network(store: Store) -> None:
    policies = policies_parse({"detect_policy": {"estimate_glasses": 1}})

    def optional() -> frozenset[str]:
        asked = policies.recognition_request(use_exif=True, face_warps=False, body_warps=False)
        return asked.plan.optional

    assert "glasses" in optional()
    store("LUNA_REMOTE_SDK_MISSING_NETWORKS", refuse_estimations=True)
    assert optional() == frozenset()


@live("LUNA_REMOTE_SDK_MISSING_NETWORKS.fail_iso_checks")
def test_checks_without_a_network(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[bool] = []

    def recognised(inputs: object, asked: Any) -> list[Any]:
        passes.append(asked.limits.unmeasured_passes)
        return []

    monkeypatch.setattr(iso, "recognise_pictures", recognised)
    for fails in (False, True):
        store("LUNA_REMOTE_SDK_MISSING_NETWORKS", fail_iso_checks=fails)
        Client().post("/6/iso", b"\xff\xd8", "image/jpeg")
    assert passes == [True, False]
