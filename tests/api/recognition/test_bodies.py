"""Bodies and people through POST /6/sdk."""

import base64
import io
from typing import Any

import numpy as np
import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from apps.recognition.config import MissingNetworks
from tests.api.handlers.helpers import JPEG, astronaut, encoded, sample

pytestmark = pytest.mark.django_db

WORDS = {
    "gender": {"male", "female", "unknown"},
    "state": {"yes", "no", "unknown"},
    "sleeve": {"long", "short", "unknown"},
    "garment": {"trousers", "shorts", "skirt", "unknown"},
    "plain": {"white", "black", "other", "unknown"},
}
ALL = "estimate_body_basic_attributes=1&estimate_upper_body=1&estimate_lower_body=1&estimate_accessories=1"


def sdk(query: str, data: Any = b"", content_type: str = JPEG) -> Any:
    answer = Client().post(f"/6/sdk?{query}", data or astronaut(), content_type)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def refused(query: str, data: Any = b"", content_type: str = JPEG) -> int:
    answer = Client().post(f"/6/sdk?{query}", data or astronaut(), content_type)
    assert answer.status_code == 400
    code: int = answer.json()["error_code"]
    return code


def people(body: Any) -> list[Any]:
    return [each for image in body["images_estimations"] for each in image["estimations"]]


def test_a_face_and_its_body_are_one_person() -> None:
    (person,) = people(sdk(f"detect_body=1&{ALL}"))
    assert person["face"]["detection"]["landmarks5"]
    body = person["body"]
    assert set(body["detection"]) == {"rect", "score", "attributes", "warp"}
    attributes = body["detection"]["attributes"]
    assert attributes == body["attributes"]
    assert set(attributes) == {"basic_attributes", "upper_body", "lower_body", "accessories"}
    assert body["warp"] is None
    assert attributes["upper_body"]["upper_clothing"]["colors"][0] == "orange"
    assert attributes["basic_attributes"]["apparent_gender"]["predominant_gender"] == "female"


def test_the_blocks_speak_the_platforms_words() -> None:
    for person in people(sdk(f"detect_body=1&{ALL}", sample(4))):
        if person["body"] is None:
            continue
        attributes = person["body"]["attributes"]
        basic, upper, lower = attributes["basic_attributes"], attributes["upper_body"], attributes["lower_body"]
        assert basic["apparent_gender"]["predominant_gender"] in WORDS["gender"]
        assert set(basic["apparent_gender"]["estimations"]) == WORDS["gender"]
        assert basic["apparent_age"] is None or 15 < basic["apparent_age"] < 70
        assert upper["headwear"]["predominant_state"] == "unknown"
        assert upper["headwear"]["apparent_color"] in WORDS["plain"]
        assert upper["sleeve"]["predominant_state"] in WORDS["sleeve"]
        assert set(upper["sleeve"]["estimations"]) == WORDS["sleeve"]
        assert upper["upper_clothing"]["colors"]
        assert lower["lower_garment"]["type"] in WORDS["garment"]
        assert lower["lower_garment"]["colors"]
        assert lower["shoes"]["apparent_color"] in WORDS["plain"]
        backpack = attributes["accessories"]["backpack"]
        assert backpack["predominant_state"] in WORDS["state"]
        assert sum(backpack["estimations"].values()) == pytest.approx(1)


def test_bodies_alone() -> None:
    (person,) = people(sdk("detect_face=0&detect_body=1&estimate_body_warp=1"))
    assert person["face"] is None
    assert person["body"]["attributes"] == {}
    assert Image.open(io.BytesIO(base64.b64decode(person["body"]["warp"]))).size == (128, 250)


def test_a_body_warp_comes_in() -> None:
    (person,) = people(sdk("detect_face=0&detect_body=1&estimate_body_warp=1"))
    warp = base64.b64decode(person["body"]["warp"])
    (again,) = people(sdk("detect_body=1&image_type=2&estimate_upper_body=1", warp))
    assert again["face"] is None
    assert again["body"]["detection"]["rect"] == {"x": 0, "y": 0, "width": 128, "height": 250}
    assert refused("detect_body=1&image_type=2") == 11030


def test_several_bodies() -> None:
    assert refused("detect_face=0&detect_body=1&multiface_policy=0", sample(5)) == 11053
    (best,) = people(sdk("detect_body=1&multiface_policy=2", sample(5)))
    assert best["face"]
    assert best["body"]


def test_people_are_counted() -> None:
    (image,) = sdk("estimate_people_count=1", sample(5))["images_estimations"]
    assert image["image_estimations"] == {"people": {"count": 5, "coordinates": None}}
    assert all(each["body"] is None for each in image["estimations"])
    (image,) = sdk("estimate_people_count=1&people_coordinates=1", sample(5))["images_estimations"]
    points = image["image_estimations"]["people"]["coordinates"]
    assert len(points) == 5
    assert points == sorted(points)
    (image,) = sdk("")["images_estimations"]
    assert image["image_estimations"] == {}


def test_bodies_of_one_person_together() -> None:
    files = [SimpleUploadedFile(name, astronaut(), JPEG) for name in ("a.jpg", "b.jpg")]
    query = f"/6/sdk?detect_body=1&aggregate_attributes=1&{ALL}"
    together = Client().post(query, {"image": files}).json()["aggregate_estimations"]["body"]["attributes"]
    assert together["upper_body"]["upper_clothing"]["colors"][0] == "orange"
    assert refused("detect_face=0&detect_body=1&aggregate_attributes=1", sample(5)) == 34008


def test_a_filtered_face_takes_its_body_along() -> None:
    body = sdk("detect_body=1&roll_threshold=1")
    (filtered,) = body["filtered_estimations"]
    assert filtered["face"]
    assert filtered["body"]["detection"]["rect"]
    assert people(body) == []


def test_a_box_around_a_body() -> None:
    empty = encoded(Image.fromarray(np.full((300, 300, 3), 90, np.uint8)), "JPEG")
    box = {"filename": "a.jpg", "body_bounding_boxes": [{"x": 50, "y": 20, "width": 100, "height": 250}]}
    for trusted, count in (("1", 1), ("0", 0)):
        parts = {
            "image": SimpleUploadedFile("a.jpg", empty, JPEG),
            "body_bounding_boxes": SimpleUploadedFile("boxes.json", orjson.dumps([box]), "application/json"),
        }
        answer = Client().post(
            "/6/sdk?detect_face=0&detect_body=1", parts, headers={"X-Luna-Trusted-Detections": trusted}
        )
        assert answer.status_code == 200, answer.json()
        assert len(people(answer.json())) == count


def test_estimations_of_bodies_need_no_network_that_is_missing_but_descriptors_do(configure: Any) -> None:
    query = "/6/sdk?detect_body=1&estimate_body_descriptor=1&estimate_upper_body=1"
    body = Client().post(query, astronaut(), JPEG).json()
    attributes = people(body)[0]["body"]["attributes"]
    assert attributes["descriptor"] is None
    assert attributes["upper_body"]["upper_clothing"]["colors"]
    assert body["unavailable_estimations"] == ["body_descriptor"]
    configure(MissingNetworks, refuse_estimations=True)
    assert Client().post(query, astronaut(), JPEG).json()["error_code"] == 200005
