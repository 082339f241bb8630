"""POST /6/iso."""

import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from apps.recognition.checks.table import CHECKS, ISO_THRESHOLDS
from apps.recognition.config import MissingNetworks
from tests.factories import client_of, make_account, token_client
from tests.unit.recognition.checks.pictures import portrait
from tests.unit.recognition.pictures import astronaut, encoded, samples

pytestmark = pytest.mark.django_db

URL = "/6/iso"
JPEG = "image/jpeg"
UNMEASURED = {"mouth_occluded", "glasses", "headwear_type"}  # no network of the embedded set says them


def good_portrait() -> bytes:
    return encoded(portrait(5, 255, 858, 416), "JPEG", quality=95)


def post(data: bytes, query: str = "", content_type: str = JPEG) -> Any:
    return Client().post(f"{URL}{query}", data, content_type)


def upload(query: str = "", **files: bytes) -> Any:
    return Client().post(
        f"{URL}{query}", {name: SimpleUploadedFile(f"{name}.jpg", data, JPEG) for name, data in files.items()}
    )


def checks_of(image: dict[str, Any], face: int = 0) -> dict[str, dict[str, Any]]:
    iso = image["estimations"][face]["face"]["detection"]["iso"]
    return {check["name"]: check for check in iso["checks"]}


def test_a_portrait_is_checked_without_credentials() -> None:
    answer = post(good_portrait())
    assert answer.status_code == 200
    (image,) = answer.json()["images"]
    assert (image["filename"], image["status"], image["error"]["error_code"]) == ("raw_image", 1, 0)
    assert image["exif"] is None
    (estimation,) = image["estimations"]
    assert set(estimation) == {"face"}
    detection = estimation["face"]["detection"]
    assert set(detection) == {"rect", "iso"}
    assert set(detection["rect"]) == {"x", "y", "width", "height"}
    checks = checks_of(image)
    assert list(checks) == list(ISO_THRESHOLDS)
    assert set(checks) == {name for name, check in CHECKS.items() if check.iso}
    assert checks["eye_distance"]["threshold_value"] == {"min": 90, "max": None}
    assert checks["eye_distance"]["object_value"] > 90
    assert checks["glasses"]["threshold_value"] == ["no_glasses", "eyeglasses"]
    assert checks["image_format"]["object_value"] == "JPEG"
    assert checks["red_eyes"] == {"name": "red_eyes", "object_value": 0, "threshold_value": 0, "result": 1}
    for name in ("head_yaw", "head_pitch", "head_roll", "left_eye", "head_width", "head_height", "blurriness_quality"):
        assert checks[name]["result"] == 1, checks[name]


@pytest.mark.parametrize("fails", [False, True])
def test_what_cannot_be_measured_is_listed_and_fails_by_a_setting(configure: Any, fails: bool) -> None:
    configure(MissingNetworks, fail_iso_checks=fails)
    (image,) = post(good_portrait()).json()["images"]
    iso = image["estimations"][0]["face"]["detection"]["iso"]
    checks = checks_of(image)
    unmeasured = [name for name, check in checks.items() if check["object_value"] is None]
    assert set(unmeasured) >= UNMEASURED
    assert iso["unmeasured_checks"] == unmeasured
    assert {checks[name]["result"] for name in unmeasured} == {int(not fails)}
    measured = [check["result"] for name, check in checks.items() if name not in unmeasured]
    assert iso["status"] == int(all(measured) and not fails)


def test_several_faces_are_an_error_unless_asked_for() -> None:
    alone = post(samples()[0])
    assert (alone.status_code, alone.json()["error_code"]) == (400, 11038)
    (image,) = post(samples()[0], "?multiface_policy=1").json()["images"]
    assert len(image["estimations"]) == 3
    assert len({json.dumps(each["face"]["detection"]["rect"]) for each in image["estimations"]}) == 3
    (image,) = post(samples()[0], "?multiface_policy=2").json()["images"]
    assert len(image["estimations"]) == 1


def test_each_of_several_images_has_its_own_answer_in_its_place() -> None:
    nobody = encoded(astronaut()[300:, 300:], "JPEG")
    answer = upload(
        first=good_portrait(),
        broken=b"\xff\xd8 no picture",
        group=samples()[0],
        nobody=nobody,
        last=encoded(astronaut(), "JPEG"),
    )
    assert answer.status_code == 200
    images = answer.json()["images"]
    assert [image["filename"] for image in images] == ["first.jpg", "broken.jpg", "group.jpg", "nobody.jpg", "last.jpg"]
    assert [image["status"] for image in images] == [1, 0, 0, 1, 1]
    assert [image["error"]["error_code"] for image in images] == [0, 18003, 11038, 0, 0]
    assert [len(image["estimations"]) for image in images] == [1, 0, 0, 0, 1]


def test_a_lone_broken_image_is_the_requests_error() -> None:
    answer = post(b"\xff\xd8 no picture")
    assert (answer.status_code, answer.json()["error_code"]) == (400, 18003)


def test_a_warp_is_refused_by_the_checks_that_need_its_picture() -> None:
    warp = encoded(portrait(5, 255, 858, 416), "PNG")
    small = io.BytesIO()
    Image.open(io.BytesIO(warp)).resize((250, 250)).save(small, "PNG")
    answer = post(small.getvalue(), "?image_type=1", "image/png")
    assert answer.status_code == 200
    checks = checks_of(answer.json()["images"][0])
    for name, check in checks.items():
        if CHECKS[name].from_source:
            assert (check["object_value"], check["result"]) == (None, 1)
    assert checks["left_eye"]["object_value"] == "open"
    assert checks["image_width"]["object_value"] == 250


def test_exif_is_shown_when_asked_for() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    file = io.BytesIO()
    Image.fromarray(portrait(5, 255, 858, 416)).save(file, "JPEG", exif=exif)
    (image,) = post(file.getvalue(), "?extract_exif=1").json()["images"]
    assert image["exif"]["make"] == "Maker"


def test_orientation_is_followed_unless_told_otherwise() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    lying = Image.fromarray(astronaut()[:, 60:400]).transpose(Image.Transpose.ROTATE_90)
    lying.save(file, "JPEG", exif=exif, quality=95)
    upright = checks_of(post(file.getvalue()).json()["images"][0])
    assert abs(upright["head_roll"]["object_value"]) < 8
    assert upright["image_width"]["object_value"] == 340
    turned_by_faces = checks_of(post(file.getvalue(), "?use_exif_info=0").json()["images"][0])
    assert turned_by_faces["image_width"]["object_value"] == 340


def test_a_picture_lies_where_neither_exif_nor_faces_turn_it(no_rotation: None) -> None:
    lying = Image.fromarray(astronaut()[:, 60:400]).transpose(Image.Transpose.ROTATE_90)
    file = io.BytesIO()
    lying.save(file, "JPEG", quality=95)
    checks = checks_of(post(file.getvalue(), "?use_exif_info=0").json()["images"][0])
    assert checks["image_width"]["object_value"] == 512
    assert checks["head_roll"]["object_value"] == pytest.approx(-90, abs=8)


@pytest.mark.parametrize("query", ["?multiface_policy=3", "?image_type=2", "?extract_exif=yes", "?use_exif_info=2"])
def test_bad_parameters_are_named(query: str) -> None:
    answer = post(good_portrait(), query)
    assert (answer.status_code, answer.json()["error_code"]) == (400, 12012)
    assert query[1:].partition("=")[0] in answer.json()["detail"]


def test_a_token_needs_the_resource() -> None:
    account = make_account()
    picture = good_portrait()
    assert client_of(account).post(URL, picture, JPEG).status_code == 200
    assert token_client(account, resources=["iso"]).post(URL, picture, JPEG).status_code == 200
    refused = token_client(account, resources=["sdk"]).post(URL, picture, JPEG)
    assert (refused.status_code, refused.json()["error_code"]) == (403, 11060)


def test_samples_of_nobody_cannot_be_named_without_credentials() -> None:
    body = {"samples": ["a0e6a6a0-3f7f-4a70-9c63-6f7c7c5e0b9a"]}
    (image,) = Client().post(URL, body, "application/json").json()["images"]
    assert (image["status"], image["error"]["error_code"], image["estimations"]) == (0, 11031, [])
