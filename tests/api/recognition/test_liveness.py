"""POST /6/liveness: predictions as numbers, one face an image, all together on demand."""

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image, ImageFilter

from apps.accounts.models import Account
from apps.common.config import override_config
from apps.recognition.config import LivenessEstimator, LivenessThresholds
from tests.api.handlers.helpers import JPEG, JSON, astronaut, encoded, nobody, sample
from tests.api.helpers import Stored
from tests.factories import client_of, token_client

pytestmark = pytest.mark.django_db
PATH = "/6/liveness"


def form(*files: tuple[str, bytes], **parts: str) -> dict[str, Any]:
    return {"image": [SimpleUploadedFile(name, data, JPEG) for name, data in files], **parts}


def test_one_image_and_nothing_stored(stored: Any) -> None:
    before: Stored = stored()
    answer = Client().post(PATH, astronaut(), JPEG)
    assert answer.status_code == 200, answer.json()
    (image,) = answer.json()["images"]
    assert (image["filename"], image["status"], image["error"]["error_code"]) == ("raw_image", 1, 0)
    assert set(image["liveness"]) == {"prediction", "estimations"}
    assert set(image["liveness"]["estimations"]) == {"probability", "quality"}
    probability = image["liveness"]["estimations"]["probability"]
    assert image["liveness"]["prediction"] == (2 if probability >= 0.5 else 0)  # the embedded network is advisory
    assert answer.json()["aggregate_estimations"] == {"liveness": None}
    assert stored() == before


def test_each_image_has_its_own_error() -> None:
    files = (("a", astronaut()), ("b", b"x"), ("c", nobody()), ("d", sample(1)))
    body = Client().post(f"{PATH}?aggregate=1", form(*files, meta='{"OS": "ANDROID"}')).json()
    assert [image["error"]["error_code"] for image in body["images"]] == [0, 18003, 4003, 11038]
    assert [image["liveness"] is None for image in body["images"]] == [False, True, True, True]
    assert body["aggregate_estimations"]["liveness"] == body["images"][0]["liveness"]


def test_images_together_are_their_mean() -> None:
    blurred = encoded(Image.open(io.BytesIO(astronaut())).filter(ImageFilter.GaussianBlur(2)))
    body = Client().post(f"{PATH}?aggregate=1", form(("a", astronaut()), ("b", blurred))).json()
    each = [image["liveness"]["estimations"] for image in body["images"]]
    together = body["aggregate_estimations"]["liveness"]["estimations"]
    for name in ("probability", "quality"):
        assert each[0][name] != each[1][name]
        assert together[name] == pytest.approx((each[0][name] + each[1][name]) / 2, abs=1e-4)
    body = Client().post(f"{PATH}?aggregate=1", form(("a", nobody()))).json()
    assert body["aggregate_estimations"] == {"liveness": None}


@pytest.mark.parametrize(
    ("thresholds", "prediction"),
    [
        ({"real_threshold": 0.0}, 2),
        ({"real_threshold": 1.0}, 0),
        ({"real_threshold": 1.0, "quality_threshold": 1.0}, 2),
    ],
)
def test_thresholds_are_settings(thresholds: dict[str, float], prediction: int) -> None:
    with override_config(LivenessEstimator, estimator_settings=LivenessThresholds(**thresholds)):
        (image,) = Client().post(PATH, astronaut(), JPEG).json()["images"]
    assert image["liveness"]["prediction"] == prediction


@pytest.mark.parametrize(
    ("data", "content_type", "status", "code"),
    [
        (nobody(), JPEG, 400, 4003),
        (sample(1), JPEG, 400, 11038),
        (b"", JPEG, 400, 12030),
        (b"x", JPEG, 400, 18003),
        (b"x", "text/plain", 400, 12017),
        (b"{", JSON, 400, 12002),
    ],
)
def test_the_error_of_a_lone_image_is_the_requests(data: bytes, content_type: str, status: int, code: int) -> None:
    answer = Client().post(PATH, data, content_type, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


@pytest.mark.parametrize("query", ["aggregate=2", "image_type=2", "image_type=x", "use_exif_info=7"])
def test_bad_queries(query: str) -> None:
    answer = Client().post(f"{PATH}?{query}", astronaut(), JPEG)
    assert (answer.status_code, answer.json()["error_code"]) == (400, 12012)


def test_urls_and_warps(account: Account) -> None:
    own = client_of(account)
    face = own.post("/6/detector", astronaut(), JPEG).json()["images"][0]["detections"]["samples"][0]["face"]
    for query, urls in (
        ("", [own.post("/6/images", astronaut(), JPEG).json()["url"]]),
        ("?image_type=1", [face["url"]]),
    ):
        for client, code in ((own, 0), (Client(), 11027)):
            (image,) = client.post(f"{PATH}{query}", {"urls": urls}, JSON).json()["images"]
            assert image["error"]["error_code"] == code


def test_credentials_are_not_needed_but_checked(account: Account) -> None:
    assert token_client(account, resources=["liveness"]).post(PATH, astronaut(), JPEG).status_code == 200
    answer = token_client(account, resources=["sdk"]).post(PATH, astronaut(), JPEG)
    assert (answer.status_code, answer.json()["error_code"]) == (403, 11060)
    assert Client(headers={"Authorization": "Bearer x"}).post(PATH, astronaut(), JPEG).status_code == 401
