"""Limits and thresholds that the settings hold are read at each request."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.common.config import ExternalAddress, Paging, PlatformLimits, SettingsError, config, refresh, use_stored
from apps.faces.attributes import KEY
from apps.faces.config import AttributesStoragePolicy
from apps.handlers.config import HandlersLimits
from apps.recognition.config import FaceQuality, SdkLimits
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler
from tests.factories import client_of, make_account

pytestmark = pytest.mark.django_db
Configure = Callable[..., None]
MATCH: dict[str, Any] = {"references": [{"type": "face_external_id", "id": "x"}], "candidates": [{"filters": {}}]}


@pytest.fixture
def client() -> Client:
    return client_of(make_account())


def error(answer: Any) -> tuple[int, int, str]:
    body = answer.json()
    return answer.status_code, body["error_code"], body["detail"]


def test_pages(client: Client, configure: Configure) -> None:
    for _ in range(4):
        assert client.post("/6/lists", {"user_data": "x"}, JSON).status_code == 201
    configure(Paging, default_page_size=2, max_page_size=3)
    assert len(client.get("/6/lists").json()["lists"]) == 2
    assert len(client.get("/6/lists?page_size=3").json()["lists"]) == 3
    status, code, detail = error(client.get("/6/lists?page_size=4"))
    assert (status, code) == (400, 12012)
    assert "less than or equal to 3" in detail


def test_ids_in_a_filter(client: Client, configure: Configure) -> None:
    ids = [str(uuid4()) for _ in range(3)]
    configure(PlatformLimits, match={"array_filter_limit": 2})
    assert error(client.get(f"/6/faces?face_ids={','.join(ids)}"))[:2] == (400, 12012)
    assert client.get(f"/6/faces?face_ids={','.join(ids[:2])}").status_code == 200
    body = {**MATCH, "candidates": [{"filters": {"face_ids": ids}}]}
    assert error(client.post("/6/matcher/faces", body, JSON))[:2] == (400, 12027)


@pytest.mark.parametrize(
    ("limit", "body"),
    [
        ("reference_limit", {**MATCH, "references": MATCH["references"] * 3}),
        ("candidate_limit", {**MATCH, "candidates": MATCH["candidates"] * 3}),
        ("result_candidate_limit", {**MATCH, "candidates": [{"filters": {}, "limit": 3}]}),
    ],
)
def test_matching(client: Client, configure: Configure, limit: str, body: Any) -> None:
    assert error(client.post("/6/matcher/faces", body, JSON))[1] != 31007
    configure(PlatformLimits, match={limit: 2})
    status, code, detail = error(client.post("/6/matcher/faces", body, JSON))
    assert (status, code) == (400, 31007)
    assert "2" in detail


def test_time_to_live_of_attributes(client: Client, configure: Configure, redis_client: Any) -> None:
    configure(AttributesStoragePolicy, default_ttl=20, max_ttl=60)
    body = {"basic_attributes": {"attributes": {"age": 30}}}
    made = client.post("/6/attributes", body, JSON)
    assert 15 < redis_client.ttl(KEY.format(made.json()["attribute_id"])) <= 20
    assert client.post("/6/attributes", {**body, "ttl": 60}, JSON).status_code == 201
    assert error(client.post("/6/attributes", {**body, "ttl": 61}, JSON))[:2] == (400, 12027)
    policies = {"storage_policy": {"attribute_policy": {"store_attribute": 1, "ttl": 61}}}
    assert error(client.post("/6/handlers", {"policies": policies}, JSON))[:2] == (400, 12027)


def test_a_handlers_attributes_have_the_default_of_the_moment(
    client: Client, configure: Configure, redis_client: Any
) -> None:
    policies = {
        "extract_policy": {"extract_basic_attributes": 1},
        "storage_policy": {"attribute_policy": {"store_attribute": 1}},
    }
    handler = make_handler(client, policies)
    configure(AttributesStoragePolicy, default_ttl=20)
    answer = client.post(f"{handler}/events", astronaut(), JPEG)
    assert answer.status_code == 201, answer.json()
    (key,) = redis_client.keys(KEY.format("*"))
    assert 10 < redis_client.ttl(key) <= 20


def test_match_policy(client: Client, configure: Configure) -> None:
    policies = {
        "extract_policy": {"extract_face_descriptor": 1},
        "match_policy": [{"label": "x", "candidates": {"origin": "faces"}, "limit": 3}],
    }
    assert client.post("/6/handlers", {"policies": policies}, JSON).status_code == 201
    configure(HandlersLimits, result_candidate_limit=2)
    assert error(client.post("/6/handlers", {"policies": policies}, JSON))[:2] == (400, 12027)


def images(count: int) -> dict[str, Any]:
    return {f"{number}.jpg": SimpleUploadedFile(f"{number}.jpg", astronaut(), JPEG) for number in range(count)}


def test_images_of_a_request(client: Client, configure: Configure) -> None:
    """Handlers have a limit of their own, in files and in references."""
    handler = make_handler(client)
    samples = json.dumps({"samples": [str(uuid4()) for _ in range(3)]})
    configure(SdkLimits, received_images_limit=2)
    assert error(client.post("/6/sdk", images(3)))[1:] == error(client.post("/6/iso", images(3)))[1:]
    assert "2 images" in error(client.post("/6/sdk", images(3)))[2]
    assert error(client.post("/6/sdk", samples, JSON))[:2] == (400, 12027)
    assert client.post(f"{handler}/events", images(3)).status_code == 201
    assert client.post(f"{handler}/events", samples, JSON).status_code == 201
    configure(HandlersLimits, received_images_limit=1)
    assert "1 images" in error(client.post(f"{handler}/events", images(2)))[2]
    status, code, detail = error(client.post(f"{handler}/events", samples, JSON))
    assert (status, code) == (400, 12027)
    assert "no more than 1 elements" in detail


def test_thresholds_of_face_quality(client: Client, configure: Configure) -> None:
    handler = make_handler(client, {"detect_policy": {"face_quality": {"estimate": 1}}})
    configure(
        FaceQuality, head_roll={"min": -1, "max": None}, eyes=["closed", "open"], red_eye=1, image_width={"max": 10}
    )
    body = client.post(f"{handler}/events", astronaut(), JPEG).json()
    quality = body["events"][0]["detections"][0]["samples"]["face"]["detection"]["face_quality"]
    thresholds = {check["name"]: check["threshold_value"] for check in quality["checks"]}
    assert thresholds["head_roll"] == {"min": -1, "max": None}
    assert thresholds["left_eye"] == thresholds["right_eye"] == ["closed", "open"]
    assert thresholds["red_eyes"] == 1
    assert thresholds["image_width"] == {"min": None, "max": 10}
    assert thresholds["head_yaw"] == {"min": -5, "max": 5}
    (image,) = client.post("/6/iso", astronaut(), JPEG).json()["images"]
    standard = json.dumps(image)
    assert '"max": 8' in standard
    assert '"max": 10}' not in standard


def test_the_external_address(client: Client, configure: Configure) -> None:
    configure(ExternalAddress, origin="https://luna.example/")
    made = client.post("/6/lists", {"user_data": "x"}, JSON).json()
    assert made["external_url"] == f"https://luna.example{made['url']}"


def test_a_stored_value_takes_effect_without_a_restart(client: Client) -> None:
    try:
        use_stored(lambda name: {"match": {"reference_limit": 2}} if name == "PLATFORM_LIMITS" else {})
        assert PlatformLimits in refresh()
        body = {**MATCH, "references": MATCH["references"] * 3}
        assert error(client.post("/6/matcher/faces", body, JSON))[1] == 31007
        use_stored(lambda name: {"match": {"reference_limit": "many"}} if name == "PLATFORM_LIMITS" else {})
        with pytest.raises(SettingsError, match="from 1 to 10000, got 'many'"):
            refresh()
        assert config(PlatformLimits).match.reference_limit == 2
    finally:
        use_stored(lambda name: {})
        refresh()
    assert config(PlatformLimits).match.reference_limit == 30
