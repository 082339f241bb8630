"""What clients that others wrote send to and read from /6/sdk, /6/iso and /6/liveness."""

import base64
import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from apps.common.config import config
from apps.recognition.checks.table import CHECKS, ISO_THRESHOLDS, own_thresholds
from apps.recognition.checks.thresholds import Between
from apps.recognition.config import FaceQuality
from apps.recognition.estimators.mask import WORN, Mask
from tests.api.handlers.helpers import JPEG, JSON, astronaut, encoded, sample
from tests.factories import client_of, make_account

pytestmark = pytest.mark.django_db


def sdk(query: str, data: bytes = b"", content_type: str = JPEG) -> Any:
    answer = Client().post(f"/6/sdk?{query}", data or astronaut(), content_type)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def photograph(exif: bool) -> bytes:
    picture = Image.open(io.BytesIO(astronaut()))
    tags = picture.getexif()
    tags[0x010F] = "Maker"
    return encoded(picture, exif=tags) if exif else astronaut()


class TestSdk:
    @pytest.mark.parametrize(("query", "given"), [("", True), ("use_exif_info=1", True), ("use_exif_info=0", False),
                                                  ("use_exif_info=0&extract_exif=1", True)])  # fmt: skip
    def test_exif_is_given_with_use_exif_info(self, query: str, given: bool) -> None:
        (image,) = sdk(query, photograph(exif=True))["images_estimations"]
        assert image["exif"] == ({"make": "Maker"} if given else None)

    @pytest.mark.parametrize("name", ["people_count_coordinates", "people_coordinates"])
    def test_image_estimations_need_no_detection(self, name: str) -> None:
        (image,) = sdk(f"detect_face=0&detect_body=0&estimate_people_count=1&{name}=1", sample(5))["images_estimations"]
        assert image["estimations"] == []
        people = image["image_estimations"]["people"]
        assert len(people["coordinates"]) == people["count"] == 5

    def test_an_image_estimation_without_network_needs_none_either(self) -> None:
        body = sdk("detect_face=0&detect_body=0&estimate_image_modification=1")
        assert body["images_estimations"][0]["image_estimations"] == {"image_modification": None}
        assert body["unavailable_estimations"] == ["image_modification"]

    def test_something_must_be_asked_for(self) -> None:
        answer = Client().post("/6/sdk?detect_face=0&detect_body=0&estimate_emotions=1", astronaut(), JPEG)
        assert (answer.status_code, answer.json()["error_code"]) == (400, 12012)

    def test_a_warp_is_shown_in_the_detection_too(self) -> None:
        (person,) = sdk("detect_body=1&estimate_face_warp=1&estimate_body_warp=1")["images_estimations"][0][
            "estimations"
        ]
        for block, size in ((person["face"], (250, 250)), (person["body"], (128, 250))):
            assert block["detection"]["warp"] == block["warp"]
            assert Image.open(io.BytesIO(base64.b64decode(block["warp"]))).size == size

    def test_angles_at_the_threshold_are_filtered(self) -> None:
        query = "estimate_head_pose=1"
        (person,) = sdk(query)["images_estimations"][0]["estimations"]
        yaw = abs(person["face"]["attributes"]["head_pose"]["yaw"])
        assert sdk(f"{query}&yaw_threshold={yaw + 1}")["filtered_estimations"] == []
        assert sdk(f"{query}&yaw_threshold=180")["filtered_estimations"] == []
        (filtered,) = sdk(f"{query}&yaw_threshold=0")["filtered_estimations"]
        assert filtered["filter_reasons"][0]["filter_name"] == "yaw_threshold"

    def test_jpeg_2000(self) -> None:
        picture = encoded(Image.open(io.BytesIO(astronaut())), "JPEG2000")
        assert len(sdk("", picture, "image/jp2")["images_estimations"][0]["estimations"]) == 1


class TestMask:
    @pytest.mark.parametrize("mask", ["medical_mask", "missing", "occluded"])
    def test_the_predominant_occlusion_belongs_to_the_predominant_mask(self, mask: str) -> None:
        ways = {"medical_mask": {"correct", "mouth"}, "missing": {"clear", "chin"}, "occluded": {"partially", "full"}}
        assert {label: set(belonging) for label, belonging in WORN.items()} == ways
        others = {way: 0.9 for label, belonging in ways.items() if label != mask for way in belonging}
        found = Mask({**dict.fromkeys(ways, 0.1), mask: 0.8}, {**others, **dict.fromkeys(ways[mask], 0.05)})
        assert found.predominant_occlusion in ways[mask]


class TestChecks:
    def test_red_eyes_and_fisheye_pass_at_0(self) -> None:
        assert (config(FaceQuality).red_eye, config(FaceQuality).fish_eye) == (0, 0)
        assert ISO_THRESHOLDS["red_eyes"].json() == ISO_THRESHOLDS["radial_distortion"].json() == 0

    @pytest.mark.parametrize(
        ("name", "low", "high"),
        [
            ("image_width", 180, 1920),
            ("image_height", 180, 1080),
            ("face_width", 180, None),
            ("face_height", 180, None),
        ],
    )
    def test_face_quality_takes_its_thresholds_from_the_settings(
        self, name: str, low: float, high: float | None
    ) -> None:
        threshold = own_thresholds()[name]
        assert isinstance(threshold, Between)
        assert (threshold.low, threshold.high) == (low, high)

    def test_iso_keeps_its_own(self) -> None:
        width, height = (ISO_THRESHOLDS[name].json() for name in ("image_width", "image_height"))
        assert (width, height) == ({"min": 180, "max": 1080}, {"min": 180, "max": 1920})

    def test_samples_cannot_have_these_alone(self) -> None:
        assert {name for name, check in CHECKS.items() if check.from_source} == {
            "head_horizontal_center", "head_vertical_center", "head_width", "head_height", "eye_distance",
            "face_width", "face_height", "indent_upper", "indent_lower", "indent_left", "indent_right",
            "illumination_uniformity", "dynamic_range", "background_lightness", "background_uniformity",
        }  # fmt: skip


class TestLiveness:
    URL = "https://no.example/a.jpg"

    def post(self, **body: Any) -> tuple[int, int | None]:
        client = client_of(make_account())
        answer = client.post("/6/liveness", {"urls": [self.URL], **body}, JSON)
        return answer.status_code, answer.json().get("error_code")

    @pytest.mark.parametrize(
        ("meta", "accepted"),
        [
            ({"OS": "IOS", "MANUFACTURE": "Apple", "MODEL": "12"}, True), ({"OS": "UNKNOWN"}, True), ({}, True),
            (None, True), ({"OS": "ANDROID", "MODEL": None}, True), ({"OS": "WINDOWS"}, False), ({"os": "IOS"}, False),
            ({"OS": "IOS", "BATTERY": 1}, False), ([], False),
        ],
    )  # fmt: skip
    def test_meta_names_the_device(self, meta: Any, accepted: bool) -> None:
        assert self.post(meta=meta) == ((200, None) if accepted else (400, 12027))

    @pytest.mark.parametrize("x_meta", [{"anything": [1, {"goes": None}]}, "text", 7, [], None])
    def test_x_meta_is_free(self, x_meta: Any) -> None:
        assert self.post(x_meta=x_meta) == (200, None)

    def test_one_to_eight_urls(self) -> None:
        assert self.post(urls=[self.URL] * 8) == (200, None)
        assert self.post(urls=[self.URL] * 9) == self.post(urls=[]) == (400, 12027)

    def test_both_in_a_multipart_body(self) -> None:
        def post(**parts: Any) -> Any:
            files = {name: json.dumps(value) for name, value in parts.items()}
            return Client().post("/6/liveness", {"a": SimpleUploadedFile("a.jpg", b"x", JPEG), **files})

        assert post(meta={"OS": "DESKTOP"}, x_meta={"a": 1}).status_code == 200
        assert post(meta={"gate": 1}).json()["error_code"] == 12027
