"""POST /6/handlers/{handler_id}/events/raw: events that were made elsewhere."""

import base64
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, DescriptorVersion
from apps.events.models import Event
from apps.faces.attributes import attribute_create
from apps.faces.types import AttributeData, BasicData
from apps.handlers.config import HandlersLimits
from tests.factories import client_of, make_account, make_version, token_client, token_without

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


@pytest.fixture
def path(client: Client) -> str:
    answer = client.post("/6/handlers", {"policies": {}}, JSON)
    return f"{answer.json()['url']}/events/raw"


@pytest.fixture
def version() -> DescriptorVersion:
    return make_version(9817, 2)


def detection(**attributes: Any) -> dict[str, Any]:
    return {"rect": {"x": 1, "y": 2, "width": 3, "height": 4}, "attributes": attributes, "quality": {"light": 0.9}}


def failed(client: Client, path: str, body: Any, status: int, code: int) -> str:
    answer = client.post(path, body, JSON)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.content
    return str(answer.json()["detail"])


def test_an_event_is_stored_as_given_and_published(client: Client, account: Account, path: str, published: Any) -> None:
    face_id, list_id, sample_id, stream_id, matched, event_id = (uuid4() for _ in range(6))
    body = {
        "source": "camera 1", "stream_id": str(stream_id), "track_id": "7", "external_id": "guest", "user_data": "Ada",
        "tags": ["vip"], "meta": {"temperature": 36.6}, "create_time": "2026-11-20T12:00:00Z",
        "end_time": "2026-11-20T15:00:05+03:00", "url": None, "external_url": None,
        "location": {"city": "Baku", "area": None, "geo_position": {"longitude": 49.8, "latitude": 40.4}},
        "face": {"face_id": str(face_id), "lists": [str(list_id)], "url": "/6/faces/x", "avatar": None},
        "face_attributes": {"score": 0.9, "samples": [], "basic_attributes": {"age": 33, "gender": 0}},
        "matches": [
            {"label": "guests", "candidates": [{"face": {"face_id": str(uuid4())}, "similarity": 0.5}]},
            {"label": "staff", "candidates": [{"event": {"event_id": str(event_id)}, "similarity": 0.8},
                                              {"face": {"face_id": str(matched), "external_id": "x"},
                                               "similarity": 0.9}]},
        ],
        "aggregate_estimations": {"face": {"attributes": {"mask": {"predominant_mask": "medical_mask"}}},
                                  "body": {"attributes": {"accessories": {"backpack": {"state": 1}}}}},
        "detections": [
            {"filename": "a", "detect_time": "2026-11-20T12:00:01Z", "detect_ts": 1.5, "image_origin": "https://x/y.jpg",
             "samples": {
                 "face": {"sample_id": str(sample_id), "url": "/6/samples/faces/x", "detection": detection(
                     liveness={"prediction": 1}, mask={"predominant_mask": "missing"},
                     emotions={"predominant_emotion": "happiness"}, deepfake={"prediction": "real"})},
                 "body": {"sample_id": None, "detection": detection(
                     upper_body={"upper_clothing": {"colors": ["black", "red"]}, "sleeve": {"length": "short"}})}}},
        ],
    }  # fmt: skip
    answer = client.post(path, body, JSON)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert set(made) == {"event_id", "url", "external_url"}
    assert answer.headers["Location"] == made["url"] == f"/6/events/{made['event_id']}"
    event = client.get(made["url"]).json()
    expected = {
        "source": "camera 1", "stream_id": str(stream_id), "track_id": "7", "external_id": "guest", "user_data": "Ada",
        "tags": ["vip"], "meta": {"temperature": 36.6}, "create_time": "2026-11-20T12:00:00.000000Z",
        "end_time": "2026-11-20T12:00:05.000000Z", "face_id": str(face_id), "attach_result": [str(list_id)],
        "age": 33, "gender": 0, "mask": 2, "emotion": 4, "liveness": 1, "deepfake": 1, "ethnic_group": None,
        "handler_id": path.split("/")[3], "account_id": str(account.account_id),
        "accessories": {"backpack": {"state": 1}},
        "top_match": {"label": "staff", "similarity": 0.9, "face_id": str(matched), "event_id": None,
                      "external_id": "x"},
    }  # fmt: skip
    assert {name: event[name] for name in expected} == expected
    assert event["upper_body"]["upper_clothing"] == {"colors": ["black", "red"]}
    assert event["upper_body"]["sleeve"] == {"length": "short"}
    assert event["location"]["city"] == "Baku"
    assert event["location"]["geo_position"] == {"longitude": 49.8, "latitude": 40.4}
    assert [each["sample_id"] for each in event["face_detections"]] == [str(sample_id)]
    assert event["face_detections"][0]["image_origin"] == "https://x/y.jpg"
    assert event["body_detections"][0]["detection"] == {"rect": {"x": 1, "y": 2, "width": 3, "height": 4}}
    assert [each["label"] for each in event["match_result"]] == ["guests", "staff"]
    ((owner, facts, message),) = published
    assert owner == account.account_id
    assert facts["mask"] == 2
    assert message["event"]["event_id"] == made["event_id"]
    assert message["event"]["detections"] == body["detections"]
    assert message["event-create-time"] == "2026-11-20T12:00:00.000000Z"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> Any:
    """Notifications of the request, of which the test's transaction is never committed."""
    found: list[Any] = []

    def publish(*, account_id: Any, facts: Any, message: Any) -> None:
        found.append((account_id, facts, message))

    monkeypatch.setattr("apps.handlers.raw_events.event_publish", publish)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        monkeypatch.setattr("django.db.transaction.on_commit", lambda call, **_: call())
        yield found
    assert callbacks == []


def test_an_empty_event_is_an_event(client: Client, path: str) -> None:
    event = client.get(client.post(path, {}, JSON).json()["url"]).json()
    assert event["create_time"] == event["end_time"]
    assert (event["face_id"], event["match_result"], event["top_match"]) == (None, [], None)


def test_a_given_id_is_taken_once(client: Client, path: str) -> None:
    body = {"event_id": str(uuid4())}
    assert client.post(path, body, JSON).json()["event_id"] == body["event_id"]
    assert body["event_id"] in failed(client, path, body, 409, 23003)
    assert Event.objects.unscoped().count() == 1


def test_an_attribute_belongs_to_one_event(
    client: Client, account: Account, path: str, version: DescriptorVersion
) -> None:
    vector = np.array([0.6, 0.8], np.float32)
    data = AttributeData(
        descriptors=(Descriptor(version.version, vector, 0.9),), basic=BasicData(age=40, gender=1, ethnicity=3)
    )
    attribute_id = str(attribute_create(account_id=account.account_id, data=data).attribute_id)
    body = {"face_attributes": {"attribute_id": attribute_id, "basic_attributes": {"age": 41}}}
    event = Event.objects.unscoped().get(event_id=client.post(path, body, JSON).json()["event_id"])
    assert (event.age, event.gender, event.ethnic_group) == (41, 1, 3)
    assert [row.version for row in event.descriptors.all()] == [version.version]
    assert attribute_id in failed(client, path, body, 409, 23004)
    other = make_account()
    stranger = client_of(other)
    its_path = f"{stranger.post('/6/handlers', {'policies': {}}, JSON).json()['url']}/events/raw"
    failed(stranger, its_path, body, 404, 22011)


def test_descriptors_of_the_body(client: Client, path: str, version: DescriptorVersion) -> None:
    data = base64.b64encode(np.array([0.6, 0.8], "<f4").tobytes()).decode()
    raw = {"type": "raw_descriptor", "data": data, "version": version.version}
    event_id = client.post(path, {"face_attributes": {"descriptors": [raw]}}, JSON).json()["event_id"]
    (row,) = Event.objects.unscoped().get(event_id=event_id).descriptors.all()
    np.testing.assert_allclose(np.array(row.vector, np.float32), [0.6, 0.8], rtol=1e-6)
    failed(client, path, {"face_attributes": {"descriptors": [raw, raw]}}, 400, 22024)
    failed(client, path, {"face_attributes": {"descriptors": [{**raw, "data": "!"}]}}, 400, 22012)
    both = {"face_attributes": {"descriptors": [raw], "attribute_id": str(uuid4())}}
    failed(client, path, both, 400, 12027)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"unknown": 1}, "unknown"),
        ({"event_id": "1"}, "event_id"),
        ({"source": "x" * 129}, "source"),
        ({"tags": ["x" * 37]}, "tags.0"),
        ({"tags": ["x"] * 31}, "tags"),
        ({"meta": {"a b": 1}}, "meta"),
        ({"meta": 1}, "meta"),
        ({"create_time": "yesterday"}, "create_time"),
        ({"location": {"geo_position": {"longitude": 1}}}, "location.geo_position.latitude"),
        ({"location": {"geo_position": {"longitude": 181, "latitude": 0}}}, "location.geo_position.longitude"),
        ({"face": {"face_id": "x"}}, "face.face_id"),
        ({"face": {"face_id": str(uuid4()), "lists": [str(uuid4())] * 31}}, "face.lists"),
        ({"matches": [{"label": "a", "candidates": [{"similarity": 0.5}]}]}, "matches.0.candidates.0"),
        (
            {"matches": [{"label": "a", "candidates": [{"face": {"face_id": str(uuid4())}, "similarity": 1.5}]}]},
            "matches.0.candidates.0.similarity",
        ),
        ({"detections": [{"samples": {"face": {}}}]}, "detections.0.samples.face.detection"),
        ({"detections": [{}] * 101}, "detections"),
        ({"detections": [{"samples": {"face": {"detection": detection(liveness={"prediction": 7})}}}]}, "liveness"),
        ({"detections": [{"samples": {"face": {"detection": detection(mask={"predominant_mask": "veil"})}}}]}, "mask"),
        ({"face_attributes": {"basic_attributes": {"age": -1}}}, "basic_attributes.age"),
        ([], ""),
    ],
)
def test_bad_bodies_name_the_member(client: Client, path: str, body: Any, place: str) -> None:
    assert place in failed(client, path, body, 400, 12027)
    assert not Event.objects.unscoped().exists()


def test_limits_come_from_the_settings(client: Client, path: str, configure: Callable[..., None]) -> None:
    configure(HandlersLimits, raw_event_detections_limit=1, raw_event_arrays_limit=1)
    one = {"samples": {"face": {"detection": detection()}}}
    assert client.post(path, {"detections": [one], "tags": ["a"]}, JSON).status_code == 201
    failed(client, path, {"detections": [one, one]}, 400, 12027)
    failed(client, path, {"tags": ["a", "b"]}, 400, 12027)


def test_handler_and_rights(client: Client, account: Account, path: str) -> None:
    failed(client, f"/6/handlers/{uuid4()}/events/raw", {}, 404, 34000)
    failed(client_of(make_account()), path, {}, 404, 34000)
    failed(token_without(account, "event", "creation"), path, {}, 403, 11059)
    assert token_client(account, event=["creation"]).post(path, {}, JSON).status_code == 201


def test_without_waiting_the_event_is_queued(client: Client, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queued: list[Any] = []
    monkeypatch.setattr("apps.handlers.raw_events.events_enqueue", lambda **given: queued.append(given))
    answer = client.post(f"{path}?wait_saving=0", {"event_id": str(uuid4())}, JSON)
    assert answer.status_code == 201
    (given,) = queued
    assert given["given_ids"] is True
    assert str(given["records"][0].draft.event_id) == answer.json()["event_id"]
    assert not Event.objects.unscoped().exists()
