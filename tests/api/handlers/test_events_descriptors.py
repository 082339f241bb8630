"""Events of descriptors without pictures: nothing is detected, warped or estimated."""

import base64
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import Account
from apps.common.descriptors import (
    Calibration,
    DescriptorVersion,
    Vector,
    raw_encode,
    sdk_encode,
    versions,
)
from apps.common.xpk import xpk_encode
from apps.events.models import Event, EventDescriptor
from apps.faces.models import FaceDescriptor
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler
from tests.api.handlers.requests import Count, error_of, generate, make_list
from tests.factories import client_of, make_account, make_version, token_client, unit_vectors

pytestmark = pytest.mark.django_db

FACE, BODY, XPK = (f"application/x-vl-{name}" for name in ("face-descriptor", "body-descriptor", "xpk"))
STORE_FACE = {"storage_policy": {"face_policy": {"store_face": 1}}}


def vectors(count: int) -> Vector:
    return unit_vectors(count, versions.default("face").dimension)


def sdk(vector: Vector) -> bytes:
    return sdk_encode(vector, versions.default("face"))


def upload(client: Client, handler: str, *files: tuple[str, bytes, str], query: str = "", **parts: Any) -> Any:
    """Files of any content type, by name, and JSON parts."""
    named = {name: SimpleUploadedFile(name, data, content_type) for name, data, content_type in files}
    return client.post(f"{handler}/events{query}", {**named, **parts})


@pytest.fixture
def of_bodies() -> DescriptorVersion:
    """An installed version of bodies that is the default."""
    version = DescriptorVersion(9301, "body", "test", 24, "uint8", Calibration(((-1.0, 0.0), (1.0, 1.0))))
    versions.register(version, default=True)
    return version


def test_an_event_and_a_face_of_a_descriptor(client: Client, stored: Count) -> None:
    version = versions.default("face")
    (vector,) = vectors(1)
    handler = make_handler(client, STORE_FACE)
    before = stored()
    forms = [
        (raw_encode(vector, version), FACE),
        (sdk(vector), FACE),
        (base64.encodebytes(sdk(vector)), f"{FACE}-base64"),
        (xpk_encode([sdk(vector)]), XPK),
        (base64.b64encode(sdk(vector)), f"{XPK}-base64"),
    ]
    for data, content_type in forms:
        body = generate(client, handler, data, content_type)
        assert [(image["filename"], image["status"]) for image in body["images"]] == [("raw_descriptor", 1)]
        (event,) = body["events"]
        assert event["detections"] == []
        assert (event["face"]["avatar"], event["body_attributes"]) == (None, None)
        assert (event["face_attributes"]["score"], event["face_attributes"]["samples"]) == (None, [])
    after = stored()
    assert (after.events - before.events, after.faces - before.faces, after.objects) == (5, 5, before.objects)
    rows: list[Any] = [*FaceDescriptor.objects.all(), *EventDescriptor.objects.all()]
    for row in rows:
        assert row.version == version.version
        assert np.allclose(row.vector, vector, atol=1e-6)


def test_a_version_that_is_not_the_default_is_stored_as_such(client: Client, account: Account) -> None:
    older = make_version(9302, 16)
    (vector,) = unit_vectors(1, 16)
    generate(client, make_handler(client), sdk_encode(vector, older), FACE)
    row = EventDescriptor.objects.get(event=Event.objects.for_account(account.account_id).get())
    assert (row.version, np.allclose(row.vector, vector, atol=1e-6)) == (9302, True)


def test_every_descriptor_of_a_file_makes_an_event(client: Client, of_bodies: DescriptorVersion, stored: Count) -> None:
    first, second = vectors(2)
    (body_vector,) = unit_vectors(1, 24)
    file = xpk_encode([sdk(first), sdk_encode(body_vector, of_bodies), sdk(second)])
    before = stored()
    body = generate(client, make_handler(client, STORE_FACE), file, XPK, query="?external_id=x&source=door")
    events = body["events"]
    assert len(body["images"]) == 1
    assert [event["face"] is not None for event in events] == [True, False, True]
    assert [event["face_attributes"] is not None for event in events] == [True, False, True]
    assert [event["body_attributes"] for event in events] == [None, {"score": None, "samples": []}, None]
    assert {(event["source"], event["external_id"]) for event in events} == {("door", "x")}
    after = stored()
    assert (after.event_descriptors - before.event_descriptors, after.faces - before.faces) == (3, 2)
    assert EventDescriptor.objects.filter(version=9301).count() == 1


def test_a_body(client: Client, of_bodies: DescriptorVersion) -> None:
    (vector,) = unit_vectors(1, 24)
    for data, content_type in ((raw_encode(vector, of_bodies), BODY), (sdk_encode(vector, of_bodies), BODY)):
        (event,) = generate(client, make_handler(client, STORE_FACE), data, content_type)["events"]
        assert (event["face"], event["face_attributes"]) == (None, None)
        assert event["body_attributes"] == {"score": None, "samples": []}
        assert client.get(event["url"]).status_code == 200


def test_a_descriptor_is_matched_and_tagged(client: Client) -> None:
    list_id = make_list(client)
    enrol = {"face_policy": {"store_face": 1, "link_to_lists_policy": [{"list_id": list_id}]}}
    enroller = make_handler(client, {"storage_policy": enrol})
    (known,) = generate(client, enroller, astronaut())["events"]
    row = FaceDescriptor.objects.get(face__face_id=known["face"]["face_id"])
    policies = {
        "match_policy": [{"label": "crew", "candidates": {"list_id": list_id}}],
        "conditional_tags_policy": [
            {"tag": "known", "filters": {"match": [{"label": "crew", "similarity__gte": 0.9}]}},
            {"tag": "woman", "filters": {"gender": [0]}},
        ],
    }
    (event,) = generate(client, make_handler(client, policies), sdk(np.asarray(row.vector)), FACE)["events"]
    (candidate,) = event["matches"][0]["candidates"]
    assert candidate["face"]["face_id"] == known["face"]["face_id"]
    assert candidate["similarity"] > 0.999
    assert event["tags"] == ["known"], "a sex that nobody estimated holds no filter"


def test_beside_images_in_a_form(client: Client, stored: Count) -> None:
    first, second = vectors(2)
    before = stored()
    answer = upload(
        client,
        make_handler(client),
        ("a.jpg", astronaut(), JPEG),
        ("b", sdk(first), FACE),
        ("c", b"garbage", f"{XPK}-base64"),
        ("d", xpk_encode([sdk(first), sdk(second)]), XPK),
        ("e", bytes(300_000), XPK),
        meta='[{"filename": "b", "meta": {"door": 7}}]',
    )
    assert answer.status_code == 201
    body = answer.json()
    assert [image["filename"] for image in body["images"]] == ["a.jpg", "b", "c", "d", "e"]
    assert [image["error"]["error_code"] for image in body["images"]] == [0, 0, 22012, 0, 37003]
    assert [event["meta"] for event in body["events"]] == [None, {"door": 7}, None, None]
    assert [len(event["detections"]) for event in body["events"]] == [1, 0, 0, 0]
    assert stored().events - before.events == 4


@pytest.mark.parametrize(
    ("data", "content_type", "code"),
    [
        (b"short", FACE, 12038),
        (b"\xff" * 512, FACE, 12038),
        (bytes(512), FACE, 12038),
        (b"?", f"{FACE}-base64", 22012),
        (b"descriptor", BODY, 200005),
        (xpk_encode([]), XPK, 12037),
        (b"garbage", XPK, 12035),
        (b"garbage", f"{XPK}-base64", 22012),
        (b"garbage", "application/x-vl-descriptor", 12017),
    ],
)
def test_bad_ones(client: Client, stored: Count, data: bytes, content_type: str, code: int) -> None:
    handler = make_handler(client)
    before = stored()
    assert error_of(client.post(f"{handler}/events", data, content_type)) == (400, code)
    assert stored() == before


def test_too_long_a_body(client: Client) -> None:
    answer = client.post(f"{make_handler(client)}/events", b"x" * 300_000, FACE)
    assert error_of(answer) == (413, 37003)


def test_too_many(client: Client, stored: Count) -> None:
    handler = make_handler(client)
    parts = [sdk(vector) for vector in vectors(31)]
    before = stored()
    assert error_of(client.post(f"{handler}/events", xpk_encode(parts), XPK)) == (400, 31007)
    halves = (("a", xpk_encode(parts[:16]), XPK), ("b", xpk_encode(parts[16:]), XPK))
    assert error_of(upload(client, handler, *halves)) == (400, 31007)
    assert stored() == before
    assert len(generate(client, handler, xpk_encode(parts[:30]), XPK)["events"]) == 30


def test_as_many_statements_as_for_one(client: Client, django_assert_max_num_queries: Any) -> None:
    handler = make_handler(client, STORE_FACE)
    parts = [sdk(vector) for vector in vectors(20)]
    generate(client, handler, parts[0], FACE)
    with django_assert_max_num_queries(100) as of_one:
        generate(client, handler, parts[0], FACE)
    with django_assert_max_num_queries(len(of_one)):
        generate(client, handler, xpk_encode(parts), XPK)


def test_no_aggregation(client: Client) -> None:
    handler = make_handler(client)
    for data, content_type in ((sdk(vectors(1)[0]), FACE), (xpk_encode([sdk(vectors(1)[0])]), XPK)):
        answer = client.post(f"{handler}/events?aggregate_attributes=1", data, content_type)
        assert error_of(answer) == (400, 34003)


@pytest.mark.parametrize(
    ("policies", "path"),
    [
        ({"detect_policy": {"estimate_head_pose": 1}}, "detect_policy.estimate_head_pose"),
        ({"detect_policy": {"detect_landmarks68": 1}}, "detect_policy.detect_landmarks68"),
        ({"detect_policy": {"estimate_people_count": 1}}, "detect_policy.estimate_people_count"),
        ({"detect_policy": {"extract_exif": 1}}, "detect_policy.extract_exif"),
        ({"detect_policy": {"estimate_liveness": {"estimate": 1}}}, "detect_policy.estimate_liveness"),
        ({"detect_policy": {"estimate_deepfake": {"estimate": 1}}}, "detect_policy.estimate_deepfake"),
        ({"detect_policy": {"face_quality": {"estimate": 1}}}, "detect_policy.face_quality"),
        (
            {"detect_policy": {"detect_body": 1, "body_attributes": {"estimate_upper_body": 1}}},
            "detect_policy.body_attributes",
        ),
        ({"detect_policy": {"yaw_threshold": 30}}, "detect_policy.yaw_threshold"),
        ({"detect_policy": {"mask_states": [1]}}, "detect_policy.mask_states"),
        ({"detect_policy": {"liveness_states": [1]}}, "detect_policy.liveness_states"),
        ({"detect_policy": {"estimate_deepfake": {"deepfake_states": [1]}}}, "detect_policy.deepfake_states"),
        ({"extract_policy": {"extract_basic_attributes": 1}}, "extract_policy.extract_basic_attributes"),
        ({"extract_policy": {"fd_score_threshold": 0.5}}, "extract_policy.fd_score_threshold"),
    ],
)
def test_policies_that_need_a_picture(client: Client, stored: Count, policies: Any, path: str) -> None:
    """Nobody passes a limit, liveness above all, by sending no picture."""
    handler = make_handler(client, policies)
    before = stored()
    answer = client.post(f"{handler}/events", sdk(vectors(1)[0]), FACE)
    assert error_of(answer) == (400, 12027)
    assert f"'policies.{path}'" in answer.json()["detail"]
    assert stored() == before


def test_a_picture_goes_on_where_a_descriptor_cannot(client: Client) -> None:
    handler = make_handler(client, {"detect_policy": {"estimate_head_pose": 1}})
    body = upload(client, handler, ("a", astronaut(), JPEG), ("b", sdk(vectors(1)[0]), FACE), ("c", b"", FACE)).json()
    assert [image["error"]["error_code"] for image in body["images"]] == [0, 12027, 12038]
    assert len(body["events"]) == 1


def test_what_stores_pictures_stores_nothing(client: Client, stored: Count) -> None:
    policies = {
        "storage_policy": {"image_origin_policy": {"store_image": 1}, "face_sample_policy": {"store_sample": 1}}
    }
    handler = make_handler(client, policies)
    before = stored()
    generate(client, handler, sdk(vectors(1)[0]), FACE)
    after = stored()
    assert (after.objects, after.files, after.events - before.events) == (before.objects, before.files, 1)


@pytest.mark.parametrize("resource", ["sdk", "detector", "iso", "liveness"])
def test_resources_that_take_images_alone(client: Client, resource: str) -> None:
    data = sdk(vectors(1)[0])
    for content_type in (FACE, BODY, XPK, f"{XPK}-base64"):
        assert error_of(client.post(f"/6/{resource}", data, content_type)) == (400, 12017)
    answer = client.post(f"/6/{resource}", {"a": SimpleUploadedFile("a", data, FACE)})
    assert error_of(answer) == (400, 11029)


def test_tokens(client: Client, account: Account, stored: Count) -> None:
    """Whoever may make events may make them of descriptors; nothing else helps."""
    handler, data = make_handler(client, STORE_FACE), sdk(vectors(1)[0])
    emits = {"emit_events": {"allowed": 1, "white_list": [handler.rsplit("/", 1)[1]], "black_list": []}}
    assert len(generate(token_client(account, **emits), handler, data, FACE)["events"]) == 1
    before = stored()
    other = token_client(account, face=["creation", "matching"], event=["creation"])
    for sender, error in ((other, (403, 11068)), (client_of(make_account()), (404, 34000)), (Client(), (403, 12010))):
        assert error_of(sender.post(f"{handler}/events", data, FACE)) == error
    assert stored() == before


def test_a_dynamic_handler_is_sent_its_policies_in_the_form(client: Client) -> None:
    handler = make_handler(client, "dynamic", handler_type=1)
    answer = client.post(f"{handler}/events", sdk(vectors(1)[0]), FACE)
    assert error_of(answer) == (400, 12003)
    body = upload(client, handler, ("a", sdk(vectors(1)[0]), FACE), policies="{}").json()
    assert len(body["events"]) == 1


def test_json_holds_no_descriptors(client: Client) -> None:
    answer = client.post(f"{make_handler(client)}/events", {"descriptors": []}, JSON)
    assert error_of(answer) == (400, 12027)
