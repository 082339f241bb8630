"""Image checks of the detector and of handlers."""

from typing import Any

import pytest
from django.test import Client

from apps.recognition.checks.table import CHECKS
from tests.factories import client_of, make_account
from tests.unit.recognition.checks.pictures import portrait
from tests.unit.recognition.pictures import encoded

pytestmark = pytest.mark.django_db

JPEG = "image/jpeg"


@pytest.fixture
def client() -> Client:
    return client_of(make_account())


def good_portrait() -> bytes:
    return encoded(portrait(5, 255, 858, 416), "JPEG", quality=95)


def generate(client: Client, **face_quality: Any) -> dict[str, Any]:
    policies = {"detect_policy": {"face_quality": {"estimate": 1, **face_quality}}}
    handler = client.post("/6/handlers", {"policies": policies}, "application/json")
    assert handler.status_code == 201, handler.json()
    answer = client.post(f"{handler.json()['url']}/events", good_portrait(), JPEG)
    assert answer.status_code == 201, answer.json()
    body: dict[str, Any] = answer.json()
    return body


def only(*names: str, **thresholds: Any) -> dict[str, Any]:
    """Every check off but these; `thresholds` of some."""
    return {
        name: {"estimate": int(name in names), **({"threshold": thresholds[name]} if name in thresholds else {})}
        for name in CHECKS
    }


def test_the_detector_makes_all_checks(client: Client) -> None:
    answer = client.post("/6/detector?estimate_face_quality=1", good_portrait(), JPEG)
    assert answer.status_code == 201
    (sample,) = answer.json()["images"][0]["detections"]["samples"]
    detection = sample["face"]["detection"]
    assert [check["name"] for check in detection["face_quality"]["checks"]] == list(CHECKS)
    assert detection["face_quality"]["status"] == 0
    assert detection["attributes"] == {}
    without = client.post("/6/detector", good_portrait(), JPEG).json()["images"][0]["detections"]["samples"][0]
    assert without["face"]["detection"]["face_quality"] is None


def test_a_stored_sample_has_no_place_in_a_picture(client: Client) -> None:
    first = client.post("/6/detector", good_portrait(), JPEG).json()
    sample_id = first["images"][0]["detections"]["samples"][0]["face"]["sample_id"]
    answer = client.post("/6/detector?estimate_face_quality=1", {"samples": [sample_id]}, "application/json").json()
    (sample,) = answer["images"][0]["detections"]["samples"]
    for check in sample["face"]["detection"]["face_quality"]["checks"]:
        if CHECKS[check["name"]].from_source:
            assert (check["object_value"], check["result"]) == (None, 0)


def test_a_handler_chooses_checks_and_thresholds(client: Client) -> None:
    checks = only("eye_distance", "head_yaw", eye_distance={"min": 100, "max": 150})
    body = generate(client, checks=checks)
    (event,) = body["events"]
    quality = event["detections"][0]["samples"]["face"]["detection"]["face_quality"]
    yaw, distance = quality["checks"]
    assert (yaw["name"], yaw["threshold_value"], yaw["result"]) == ("head_yaw", {"min": -5, "max": 5}, 1)
    assert (distance["threshold_value"], distance["result"]) == ({"min": 100, "max": 150}, 0)
    assert quality["status"] == 0


def test_a_failed_check_filters_when_the_policy_says_so(client: Client) -> None:
    body = generate(client, filter=1, checks=only("eye_distance", "left_eye", eye_distance={"max": 100}))
    assert body["events"] == []
    (rejected,) = body["filtered_detections"]["face_detections"]
    (reason,) = rejected["filter_reasons"]
    assert reason["filter_name"] == "eye_distance"
    assert reason["object_value"] > 100
    assert reason["threshold_value"] == {"min": 0, "max": 100}
    assert client.get("/6/events").json()["events"] == []


def test_passed_checks_filter_nothing(client: Client) -> None:
    body = generate(client, filter=1, checks=only("eye_distance", "left_eye", "natural_light"))
    assert len(body["events"]) == 1
    assert body["events"][0]["detections"][0]["samples"]["face"]["detection"]["face_quality"]["status"] == 1
    assert body["filtered_detections"]["face_detections"] == []


def test_what_cannot_be_measured_does_not_pass_the_filter(client: Client) -> None:
    body = generate(client, filter=1, checks=only("headwear_type"))
    (rejected,) = body["filtered_detections"]["face_detections"]
    assert rejected["filter_reasons"] == [
        {"filter_name": "headwear_type", "object_value": None, "threshold_value": ["none"]}
    ]


def test_every_word_of_a_threshold_is_known_to_policies(client: Client) -> None:
    bad = {"detect_policy": {"face_quality": {"estimate": 1, "checks": {"headwear_type": {"threshold": ["crown"]}}}}}
    answer = client.post("/6/handlers", {"policies": bad}, "application/json")
    assert (answer.status_code, answer.json()["error_code"]) == (400, 12027)
