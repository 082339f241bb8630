"""POST /6/verifiers/{id}/verifications and …/raw: every candidate, in the order of the query."""

from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import Account, AuditRecord
from apps.common.config import PlatformLimits, override_config
from apps.common.config.platform import MatchLimits
from apps.common.descriptors import Descriptor, base64_encode, sdk_encode, versions
from apps.common.scope import Scope
from apps.faces.attributes import attribute_get
from apps.faces.models import FaceDescriptor
from apps.faces.services import face_create
from apps.faces.types import AttributeData, FaceDraft
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler, nobody
from tests.api.handlers.requests import Count, error_of, generate, samples_of
from tests.factories import client_of, make_account, make_version, token_client, unit_vectors

pytestmark = pytest.mark.django_db
NOTHING = {"face_sample_policy": {"store_sample": 0}}
FACE_TYPE = "application/x-vl-face-descriptor"


def verifier(client: Client, **policies: Any) -> str:
    answer = client.post("/6/verifiers", {"policies": {"storage_policy": NOTHING, **policies}}, JSON)
    assert answer.status_code == 201, answer.json()
    url: str = answer.json()["url"]
    return url


def verify(client: Client, path: str, query: str, data: Any = b"", content_type: str = JPEG) -> Any:
    answer = client.post(f"{path}/verifications?{query}", data or astronaut(), content_type)
    assert answer.status_code == 201, answer.json()
    return answer.json()


def form(client: Client, path: str, query: str, *files: SimpleUploadedFile, **parts: Any) -> Any:
    return client.post(f"{path}/verifications?{query}", {"image": list(files), **parts}).json()


class World:
    """An account with the astronaut as face, event and temporary attribute, and a stranger's face."""

    def __init__(self, client: Client, account: Account) -> None:
        handler = make_handler(
            client,
            {
                "storage_policy": {
                    "face_policy": {"store_face": 1},
                    "attribute_policy": {"store_attribute": 1},
                    "face_sample_policy": {"store_sample": 0},
                }
            },
        )
        (event,) = generate(client, handler, astronaut(), query="?external_id=astronaut&user_data=Eileen")["events"]
        self.face, self.event = event["face"]["face_id"], event["event_id"]
        self.attribute = event["face_attributes"]["attribute_id"]
        version = versions.default("face")
        descriptor = Descriptor(version.version, unit_vectors(1, version.dimension)[0])
        draft = FaceDraft(external_id="stranger", attribute=AttributeData((descriptor,)))
        self.stranger = str(face_create(account_id=account.account_id, draft=draft).face_id)


@pytest.fixture
def world(client: Client, account: Account) -> World:
    return World(client, account)


def descriptor_of(face_id: str) -> bytes:
    row = FaceDescriptor.objects.get(face__face_id=face_id)
    return sdk_encode(np.array(row.vector, np.float32), versions.get(row.version))


def test_all_candidates_in_the_order_of_the_query(client: Client, world: World, stored: Count) -> None:
    path = verifier(client)
    before = stored()
    query = (
        f"event_ids={world.event}&face_ids={world.stranger},{world.face},{world.stranger}"
        f"&external_ids=astronaut,stranger&attribute_ids={world.attribute}"
    )
    (image,) = verify(client, path, query)["images"]
    (face,) = image["detections"]["face_detections"]
    found = face["verifications"]
    kinds = [next(kind for kind in ("face", "event", "attribute") if kind in each) for each in found]
    assert kinds == ["event", "face", "face", "face", "face", "face", "attribute"]
    assert [each["face"]["face_id"] for each in found[1:6]] == [
        world.stranger, world.face, world.stranger, world.face, world.stranger
    ]  # fmt: skip
    assert (found[0]["event"]["event_id"], found[6]["attribute"]["attribute_id"]) == (world.event, world.attribute)
    assert found[2]["face"]["user_data"] == "Eileen"
    assert [each["status"] for each in found] == [True, False, True, False, True, False, True]
    assert all(each["similarity"] > 0.99 if each["status"] else each["similarity"] < 0.5 for each in found)
    assert face["face_attributes"]["attribute_id"] is None
    assert face["sample"]["face"]["sample_id"] is None
    assert stored() == before


def test_a_status_needs_more_than_the_threshold(client: Client, world: World) -> None:
    query = f"face_ids={world.stranger}"
    (image,) = verify(client, verifier(client, verification_threshold=0), query)["images"]
    (found,) = image["detections"]["face_detections"][0]["verifications"]
    for threshold, status in ((found["similarity"], False), (found["similarity"] - 0.001, True), (1, False)):
        (image,) = verify(client, verifier(client, verification_threshold=threshold), query)["images"]
        (again,) = image["detections"]["face_detections"][0]["verifications"]
        assert (again["similarity"], again["status"]) == (found["similarity"], status)
    itself = {"type": "sdk_descriptor", "id": "a", "data": base64_encode(descriptor_of(world.face))}
    body = {"references": [itself], "candidates": [itself]}
    for threshold, status in ((1, False), (0.99, True)):
        answer = client.post(f"{verifier(client, verification_threshold=threshold)}/raw", body, JSON).json()
        ((match,),) = (each["matches"] for each in answer["matches"])
        assert (match["candidate_id"], match["similarity"], match["status"]) == ("a", pytest.approx(1), status)


def test_stages_store_samples_and_attributes(client: Client, account: Account, world: World, stored: Count) -> None:
    path = verifier(
        client,
        detect_policy={"estimate_head_pose": 1, "extract_exif": 1},
        extract_policy={"extract_basic_attributes": 1},
        storage_policy={"attribute_policy": {"store_attribute": 1, "ttl": 100}},
    )
    before = stored()
    (image,) = verify(client, path, f"face_ids={world.face}")["images"]
    after = stored()
    assert (after.events, after.faces, after.objects - before.objects, after.keys - before.keys) == (
        before.events, before.faces, 1, 1
    )  # fmt: skip
    (face,) = image["detections"]["face_detections"]
    attributes = face["face_attributes"]
    assert client.head(face["sample"]["face"]["url"]).status_code == 200
    assert set(face["sample"]["face"]["detection"]["attributes"]["head_pose"]) == {"pitch", "roll", "yaw"}
    assert image["exif"] == {}
    assert attributes["basic_attributes"]["gender"] == 0
    assert attributes["samples"] == [face["sample"]["face"]["sample_id"]]
    data = attribute_get(scope=Scope(account.account_id), attribute_id=UUID(attributes["attribute_id"])).data
    assert data.basic is not None
    assert len(data.descriptors) == 1


def test_filtered_and_empty_images_are_no_error(client: Client, world: World, stored: Count) -> None:
    path = verifier(client, detect_policy={"yaw_threshold": 0}, storage_policy={})
    before = stored()
    answer = form(
        client, path, f"face_ids={world.face}",
        SimpleUploadedFile("a.jpg", astronaut(), JPEG), SimpleUploadedFile("b.jpg", nobody(), JPEG),
        SimpleUploadedFile("c.jpg", b"text", JPEG),
    )  # fmt: skip
    assert [(image["filename"], image["status"]) for image in answer["images"]] == [
        ("a.jpg", 1),
        ("b.jpg", 1),
        ("c.jpg", 0),
    ]
    assert [image["detections"]["face_detections"] for image in answer["images"]] == [[], [], []]
    assert answer["images"][2]["error"]["error_code"] == 18003
    (rejected,) = answer["filtered_detections"]["face_detections"]
    assert rejected["filename"] == "a.jpg"
    assert rejected["filter_reasons"][0]["filter_name"] == "yaw_threshold"
    assert stored() == before


def test_descriptors_samples_and_pictures_in_one_world(client: Client, world: World) -> None:
    path = verifier(client)
    descriptor = descriptor_of(world.face)
    of_another_version = sdk_encode(unit_vectors(1, 8)[0], make_version(9301, 8))
    answer = form(
        client, path, f"face_ids={world.face},{world.stranger}",
        SimpleUploadedFile("face.bin", descriptor, FACE_TYPE), SimpleUploadedFile("a.jpg", astronaut(), JPEG),
        SimpleUploadedFile("other.bin", of_another_version, FACE_TYPE),
    )  # fmt: skip
    found = {image["filename"]: image for image in answer["images"]}
    (of_descriptor,) = found["face.bin"]["detections"]["face_detections"]
    assert of_descriptor["sample"] == {"face": None}
    assert [each["status"] for each in of_descriptor["verifications"]] == [True, False]
    (of_picture,) = found["a.jpg"]["detections"]["face_detections"]
    assert [each["status"] for each in of_picture["verifications"]] == [True, False]
    assert (found["other.bin"]["status"], found["other.bin"]["error"]["error_code"]) == (0, 31001)
    assert found["other.bin"]["detections"]["face_detections"] == []

    (sample_id,) = samples_of(client)
    AuditRecord.objects.all().delete()
    (image,) = verify(client, path, f"face_ids={world.face}", {"samples": [sample_id]}, JSON)["images"]
    (face,) = image["detections"]["face_detections"]
    assert face["verifications"][0]["status"] is True
    assert list(AuditRecord.objects.values_list("action", "object_type", "object_id")) == [
        ("view", "face_sample", sample_id)
    ]
    alone = client.post(f"{path}/verifications?face_ids={world.face}", of_another_version, FACE_TYPE)
    assert error_of(alone) == (400, 31001)


def test_what_cannot_be_compared(client: Client, account: Account, world: World, stored: Count) -> None:
    path = verifier(client, storage_policy={})
    empty = client.post("/6/faces", {}, JSON).json()["face_id"]
    stranger = make_account()
    other = World(client_of(stranger), stranger)
    missing, before = str(uuid4()), stored()
    many = ",".join(str(uuid4()) for _ in range(31))
    cases = [
        ("", 400, 34006),
        ("face_ids=", 400, 34006),
        ("image_type=2&face_ids=" + world.face, 400, 12012),
        ("face_ids=7", 400, 12012),
        (f"face_ids={many}", 400, 34005),
        (f"face_ids={missing}", 404, 22002),
        (f"face_ids={world.face},{missing}", 404, 22002),
        (f"event_ids={missing}", 404, 23001),
        (f"attribute_ids={missing}", 404, 22011),
        ("external_ids=nobody", 400, 11041),
        (f"face_ids={empty}", 400, 11032),
        (f"face_ids={other.face}", 404, 22002),
        (f"event_ids={other.event}", 404, 23001),
        (f"attribute_ids={other.attribute}", 404, 22011),
    ]
    for query, status, code in cases:
        answer = client.post(f"{path}/verifications?{query}", astronaut(), JPEG)
        assert error_of(answer) == (status, code), query
    answer = client.post(f"{path}/verifications?face_ids={many}", astronaut(), JPEG)
    assert answer.json()["detail"] == "Candidates limit exceeded: 31 > 30"
    nine = {"image": [SimpleUploadedFile(f"{number}.jpg", b"x", JPEG) for number in range(9)]}
    assert error_of(client.post(f"{path}/verifications?face_ids={world.face}", nine)) == (400, 11049)
    assert stored() == before


def test_an_external_id_names_all_its_faces_within_the_limit(client: Client, world: World) -> None:
    handler = make_handler(client, {"storage_policy": {"face_policy": {"store_face": 1}}})
    generate(client, handler, astronaut(), query="?external_id=astronaut")
    path = verifier(client)
    (image,) = verify(client, path, "external_ids=astronaut")["images"]
    assert len(image["detections"]["face_detections"][0]["verifications"]) == 2
    with override_config(PlatformLimits, match=MatchLimits(candidate_limit=1)):
        answer = client.post(f"{path}/verifications?external_ids=astronaut", astronaut(), JPEG)
    assert error_of(answer) == (400, 34005)


def test_a_token_matches_the_kinds_that_it_names(account: Account, client: Client, world: World) -> None:
    path = verifier(client)
    narrow = token_client(account, verifier=["view"], face=["matching"])
    assert verify(narrow, path, f"face_ids={world.face}")
    answer = narrow.post(f"{path}/verifications?face_ids={world.face}&event_ids={world.event}", astronaut(), JPEG)
    assert error_of(answer) == (403, 11059)


def test_raw(client: Client, world: World) -> None:
    path = verifier(client, verification_threshold=0.6)
    items = [
        {"type": "sdk_descriptor", "id": name, "data": base64_encode(descriptor_of(face_id))}
        for name, face_id in (("me", world.face), ("other", world.stranger))
    ]
    answer = client.post(f"{path}/raw", {"references": items[:1], "candidates": items[::-1]}, JSON)
    assert answer.status_code == 200
    ((first, second),) = (each["matches"] for each in answer.json()["matches"])
    assert answer.json()["matches"][0]["reference_id"] == "me"
    assert (first["candidate_id"], first["status"], second["candidate_id"], second["status"]) == (
        "other", False, "me", True
    )  # fmt: skip
    too_many = {"references": items[:1], "candidates": items[:1] * 1001}
    assert error_of(client.post(f"{path}/raw", too_many, JSON)) == (400, 34005)
    references = {"references": items[:1] * 31, "candidates": items}
    assert error_of(client.post(f"{path}/raw", references, JSON)) == (400, 31007)
    bad: list[Any] = [
        {},
        {"references": items},
        {"references": [], "candidates": []},
        {"references": [{"type": "face"}]},
    ]
    for body in bad:
        assert error_of(client.post(f"{path}/raw", body, JSON)) == (400, 12027)
