"""POST /6/sdk: estimates, answers, stores nothing, needs no credentials."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from apps.accounts.choices import AccountType
from apps.accounts.models import Account, AuditRecord
from apps.common.descriptors import sdk_decode
from apps.common.errors import LunaError
from apps.recognition.config import MissingNetworks, Runtime
from apps.recognition.run import facade
from tests.api.handlers.helpers import JPEG, JSON, astronaut, encoded, nobody, sample
from tests.api.helpers import Stored
from tests.factories import basic_client, client_of, make_account, token_client

pytestmark = pytest.mark.django_db


def sdk(query: str = "", data: Any = b"", content_type: str = JPEG, client: Client | None = None) -> Any:
    answer = (client or Client()).post(f"/6/sdk{query}", data or astronaut(), content_type)
    assert answer.status_code == 200, answer.json()
    return answer.json()


def faces(body: Any) -> list[Any]:
    return [each["face"] for image in body["images_estimations"] for each in image["estimations"]]


def test_nothing_is_stored(stored: Any) -> None:
    before: Stored = stored()
    body = sdk("?estimate_face_descriptor=1&estimate_face_warp=1")
    (face,) = faces(body)
    assert set(face["detection"]["rect"]) == {"x", "y", "width", "height"}
    assert len(face["detection"]["landmarks5"]) == 5
    assert body["filtered_estimations"] == []
    assert stored() == before


def test_everything_that_is_asked_for() -> None:
    names = (
        "head_pose", "emotions", "gaze", "eyes_attributes", "mouth_attributes", "basic_attributes", "eye_distance",
    )  # fmt: skip
    flags = [f"estimate_{name}=1" for name in (*names, "quality", "landmarks68", "face_descriptor", "face_warp")]
    (face,) = faces(sdk("?" + "&".join(flags)))
    assert set(face["attributes"]) == {*names, "descriptor"}
    assert face["detection"]["attributes"] == face["attributes"]
    assert (len(face["detection"]["landmarks68"]), face["attributes"]["basic_attributes"]["gender"]) == (68, 0)
    assert face["detection"]["quality"]["light"] > 0
    assert Image.open(io.BytesIO(base64.b64decode(face["warp"]))).size == (250, 250)


def test_the_descriptor_is_one_that_can_be_decoded() -> None:
    (first,) = faces(sdk("?estimate_face_descriptor=1"))
    (again,) = faces(
        sdk("?estimate_face_descriptor=1", encoded(Image.open(io.BytesIO(astronaut())), "PNG"), "image/png")
    )
    vectors = [
        sdk_decode(base64.b64decode(face["attributes"]["descriptor"]["sdk_descriptor"]))[1] for face in (first, again)
    ]
    assert np.isclose(np.linalg.norm(vectors[0]), 1)
    assert float(vectors[0] @ vectors[1]) > 0.99
    assert first["attributes"]["descriptor"]["score"] > 0.9


def test_several_images_and_aggregation() -> None:
    files = [SimpleUploadedFile(name, data, JPEG) for name, data in (("a", astronaut()), ("b", b"x"), ("c", nobody()))]
    query = "?estimate_face_descriptor=1&estimate_emotions=1&aggregate_attributes=1"
    body = Client().post(f"/6/sdk{query}", {"image": files}).json()
    assert [(image["filename"], image["status"]) for image in body["images_estimations"]] == [
        ("a", 1),
        ("b", 0),
        ("c", 1),
    ]
    together = body["aggregate_estimations"]["face"]["attributes"]
    assert together["emotions"]["predominant_emotion"] == "happiness"
    assert together["descriptor"]["score"] > 0.9
    answer = Client().post("/6/sdk?aggregate_attributes=1", sample(1), JPEG)
    assert (answer.status_code, answer.json()["error_code"]) == (400, 11038)


def test_multiface_and_score() -> None:
    assert len(faces(sdk(data=sample(1)))) >= 3
    assert len(faces(sdk("?multiface_policy=2", sample(1)))) == 1
    assert faces(sdk("?score_threshold=1")) == []
    answer = Client().post("/6/sdk?multiface_policy=0", sample(1), JPEG)
    assert (answer.status_code, answer.json()["error_code"]) == (400, 11038)


def test_filters() -> None:
    body = sdk("?roll_threshold=1&face_descriptor_score_threshold=1&estimate_face_descriptor=1")
    (filtered,) = body["filtered_estimations"]
    assert [reason["filter_name"] for reason in filtered["filter_reasons"]] == ["roll_threshold", "fd_score_threshold"]
    assert filtered["face"]["detection"]["attributes"].keys() == {"descriptor"}
    assert faces(body) == []


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_pictures_without_exif_are_turned_by_a_setting(quarters: int, configure: Callable[..., None]) -> None:
    data = encoded(Image.open(io.BytesIO(astronaut())).rotate(90 * quarters, expand=True), quality=95)
    (upright,) = faces(sdk())
    (face,) = faces(sdk(data=data))  # on by default
    assert near(upright, face)
    configure(Runtime, use_auto_rotation=False)
    facade.shut_down()
    try:
        assert not any(near(upright, face) for face in faces(sdk(data=data)))
    finally:
        facade.shut_down()


def near(one: Any, other: Any) -> bool:
    """The five points within eight pixels."""
    return bool(np.abs(np.subtract(one["detection"]["landmarks5"], other["detection"]["landmarks5"])).max() < 8)


def test_a_score_filters_although_no_descriptor_is_asked_for() -> None:
    body = sdk("?face_descriptor_score_threshold=1")
    (filtered,) = body["filtered_estimations"]
    assert [reason["filter_name"] for reason in filtered["filter_reasons"]] == ["fd_score_threshold"]
    assert filtered["face"]["detection"]["attributes"] == {}
    assert len(faces(sdk("?face_descriptor_score_threshold=0.5"))) == 1


@pytest.mark.parametrize("flag", ["deepfake", "body_descriptor", "image_modification"])
def test_what_is_not_installed(flag: str, configure: Any) -> None:
    answer = Client().post(f"/6/sdk?estimate_{flag}=1&estimate_emotions=1", astronaut(), JPEG)
    assert answer.status_code == 200
    body = answer.json()
    assert body["unavailable_estimations"] == [flag]
    (found,) = faces(body)
    assert found["attributes"]["emotions"]["predominant_emotion"]
    if flag == "deepfake":
        assert found["attributes"]["deepfake"] is None
    if flag == "image_modification":
        assert body["images_estimations"][0]["image_estimations"] == {"image_modification": None}
    configure(MissingNetworks, refuse_estimations=True)
    answer = Client().post(f"/6/sdk?estimate_{flag}=1", astronaut(), JPEG)
    assert (answer.status_code, answer.json()["error_code"]) == (LunaError(200005).status, 200005)


def test_a_limit_without_network_is_refused() -> None:
    answer = Client().post("/6/sdk?mask_states=1", astronaut(), JPEG)
    assert (answer.status_code, answer.json()["error_code"]) == (400, 200005)


def test_of_what_is_installed_nothing_is_unavailable() -> None:
    assert sdk("?estimate_emotions=1")["unavailable_estimations"] == []


@pytest.mark.parametrize(
    "query",
    [
        "detect_face=0",
        "estimate_emotions=2",
        "image_type=5",
        "score_threshold=1.1",
        "yaw_threshold=-1",
        "mask_states=4",
    ],
)
def test_bad_queries(query: str) -> None:
    answer = Client().post(f"/6/sdk?{query}", astronaut(), JPEG)
    assert (answer.status_code, answer.json()["error_code"]) == (400, 12012)


def test_credentials_are_not_needed_but_checked(account: Account) -> None:
    assert len(faces(sdk(client=client_of(account)))) == 1
    assert len(faces(sdk(client=token_client(account, resources=["sdk"])))) == 1
    answer = token_client(account, resources=["iso"]).post("/6/sdk", astronaut(), JPEG)
    assert (answer.status_code, answer.json()["error_code"]) == (403, 11060)
    answer = Client(headers={"Authorization": "Bearer x"}).post("/6/sdk", astronaut(), JPEG)
    assert answer.status_code == 401


def test_stored_images_are_the_accounts_own(account: Account) -> None:
    own = client_of(account)
    url = own.post("/6/images", astronaut(), JPEG).json()["url"]
    assert len(faces(sdk(data={"urls": [url]}, content_type=JSON, client=own))) == 1
    for client in (Client(), client_of(make_account())):
        (image,) = sdk(data={"urls": [url]}, content_type=JSON, client=client)["images_estimations"]
        assert image["error"]["error_code"] == 11027


@pytest.mark.parametrize("path", ["/6/sdk", "/6/iso", "/6/liveness"])
def test_a_token_names_the_stored_objects_that_it_may_view(account: Account, path: str) -> None:
    """The response contains the warp of a stored picture, so the token needs permission to view it."""
    own = client_of(account)
    image = own.post("/6/images", astronaut(), JPEG).json()["url"]
    sample_id = own.post("/6/samples/faces", encoded(Image.new("RGB", (250, 250))), JPEG).json()["sample_id"]
    rights: dict[str, Any] = {"resources": ["sdk", "iso", "liveness"]}

    def codes(**permissions: Any) -> list[int]:
        client = token_client(account, **rights, **permissions)
        found = []
        for body in ({"urls": [image]}, {"samples": [sample_id]}):
            (answer,) = next(iter(client.post(path, body, JSON).json().values()))
            found.append(answer["error"]["error_code"])
        return found

    of_image, of_sample = codes(image=["view"], face_sample=["view"])
    assert (of_image, of_sample == 11031) == (0, False)
    assert codes(image=["creation"], face_sample=["deletion"]) == [11027, 11031]
    assert codes(face_sample=["view"])[0] == 11027
    assert codes(image=["view"])[1] == 11031


def test_what_is_read_from_the_store_leaves_an_audit_line(account: Account) -> None:
    own = client_of(account)
    path = own.post("/6/images", astronaut(), JPEG).json()["url"]
    image_id = path.rpartition("/")[2]
    urls = [path, path.upper().replace("/6/IMAGES", "/6/images"), f"/6/images/{account.account_id}"]
    sdk("?estimate_face_warp=1", data={"urls": urls}, content_type=JSON, client=own)
    line = AuditRecord.objects.get(action="view")
    assert (line.object_type, line.object_id) == ("image", image_id)
    assert line.account_id == line.object_account_id == account.account_id


def test_images_in_buckets(account: Account) -> None:
    admin, own = basic_client(make_account(AccountType.ADMIN)), client_of(account)
    admin.post("/1/buckets?bucket=people")
    for bucket, kind in (("people", "image"), ("visionlabs-image-origin", "image")):
        path = own.post(f"/1/buckets/{bucket}/images", astronaut(), JPEG).json()["url"]
        assert len(faces(sdk(data={"urls": [path]}, content_type=JSON, client=own))) == 1
        line = AuditRecord.objects.get(action="view", object_id=path.rpartition("/")[2])
        assert line.object_type == kind
        (image,) = sdk(data={"urls": [path]}, content_type=JSON)["images_estimations"]
        assert image["error"]["error_code"] == 11027
