"""Bodies on their way through a handler: events, samples, columns, filters, tags."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.models import Account
from apps.common.descriptors import Calibration, DescriptorVersion, sdk_decode, versions
from apps.common.filters.enums import ApparentGender, Colour, Presence
from apps.events.models import Event, EventDescriptor
from apps.recognition.config import MissingNetworks
from apps.recognition.run import facade
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler, sample
from tests.api.handlers.requests import Count, generate
from tests.api.helpers import Stored
from tests.unit.recognition.graphs import channel_means, directory_with_embedded, engine_of, install
from tests.unit.recognition.pictures import one_turned_away

pytestmark = pytest.mark.django_db

ATTRIBUTES = {
    "estimate_basic_attributes": 1,
    "estimate_upper_body": 1,
    "estimate_lower_body": 1,
    "estimate_accessories": 1,
}
DETECT = {"detect_body": 1, "body_attributes": ATTRIBUTES}


def handler(client: Client, detect: dict[str, Any] | None = None, **policies: Any) -> str:
    return make_handler(client, {"detect_policy": DETECT | (detect or {}), **policies})


def test_a_face_and_its_body_share_an_event(client: Client, account: Account, stored: Count) -> None:
    before: Stored = stored()
    (event,) = generate(client, handler(client), astronaut())["events"]
    (detection,) = event["detections"]
    body = detection["samples"]["body"]
    assert detection["samples"]["face"]["detection"]["landmarks5"]
    assert body["url"] == f"/6/samples/bodies/{body['sample_id']}"
    assert event["body_attributes"] == {"score": None, "samples": [body["sample_id"]]}
    attributes = body["detection"]["attributes"]
    assert set(attributes) == {"basic_attributes", "upper_body", "lower_body", "accessories"}
    after: Stored = stored()
    assert (after.events - before.events, after.objects - before.objects) == (1, 2)
    image = client.get(body["url"])
    assert (image.status_code, image["Content-Type"]) == (200, "image/jpeg")

    row = Event.objects.for_account(account.account_id).get()
    assert row.apparent_gender == ApparentGender.FEMALE
    assert row.apparent_age == attributes["basic_attributes"]["apparent_age"]
    assert row.upper_clothing_colors[0] == Colour.ORANGE
    assert (row.headwear_state, row.backpack_state) == (Presence.UNKNOWN, Presence.NO)
    (stored_body,) = row.body_detections
    assert stored_body["sample_id"] == body["sample_id"]
    assert stored_body["detection"]["rect"] == body["detection"]["rect"]
    assert len(row.face_detections) == 1

    shown = client.get(f"/6/events/{event['event_id']}").json()
    assert shown["upper_body"]["upper_clothing"]["colors"][0] == "orange"
    assert shown["body_basic_attributes"]["apparent_gender"] == 0
    found = client.get("/6/events", {"upper_clothing_colors": Colour.ORANGE.value, "apparent_gender": 0}).json()[
        "events"
    ]
    assert [each["event_id"] for each in found] == [event["event_id"]]


def test_bodies_alone_make_events_without_faces(client: Client, account: Account, stored: Count) -> None:
    before: Stored = stored()
    policies = {"storage_policy": {"face_policy": {"store_face": 1}, "attribute_policy": {"store_attribute": 1}}}
    body = generate(client, handler(client, {"detect_face": 0}, **policies), sample(6))
    assert len(body["events"]) == 4
    for event in body["events"]:
        assert (event["face"], event["face_attributes"]) == (None, None)
        assert event["detections"][0]["samples"]["face"] is None
    after: Stored = stored()
    assert (after.events - before.events, after.objects - before.objects) == (4, 4)
    assert (after.faces, after.keys) == (before.faces, before.keys)
    assert all(row.face_detections == [] for row in Event.objects.for_account(account.account_id))


def test_who_has_only_a_face_or_only_a_body_has_an_event_too(client: Client) -> None:
    """Three bodies, of which two show their faces."""
    events = generate(client, handler(client), one_turned_away())["events"]
    seen = [(each["detections"][0]["samples"]["face"], each["detections"][0]["samples"]["body"]) for each in events]
    assert sorted((face is not None, body is not None) for face, body in seen) == [
        (False, True), (True, True), (True, True),
    ]  # fmt: skip
    (away,) = (each for each in events if each["detections"][0]["samples"]["face"] is None)
    basic = away["detections"][0]["samples"]["body"]["detection"]["attributes"]["basic_attributes"]
    assert basic == {"apparent_age": None, "apparent_gender": 2}


def test_body_samples_are_kept_as_the_policy_says(client: Client, stored: Count) -> None:
    before: Stored = stored()
    never = {"store_sample": 0}
    (event,) = generate(client, handler(client, storage_policy={"body_sample_policy": never}), astronaut())["events"]
    sample_block = event["detections"][0]["samples"]["body"]
    assert (sample_block["sample_id"], sample_block["url"]) == (None, None)
    assert sample_block["detection"]["rect"]
    assert event["body_attributes"]["samples"] == []
    filtered = {"filters": {"upper_clothing_colors": [Colour.BLUE]}}
    generate(client, handler(client, storage_policy={"body_sample_policy": filtered}), astronaut())
    after: Stored = stored()
    assert after.objects - before.objects == 2


def test_filters_and_tags_see_the_body(client: Client, stored: Count) -> None:
    before: Stored = stored()
    policies: dict[str, Any] = {
        "conditional_tags_policy": [
            {"tag": "orange", "filters": {"upper_clothing_colors": [Colour.ORANGE], "backpack_states": [0]}},
            {"tag": "green", "filters": {"upper_clothing_colors": [Colour.GREEN]}},
        ],
        "storage_policy": {"event_policy": {"filters": {"apparent_gender": [1]}}},
    }
    (event,) = generate(client, handler(client, **policies), astronaut())["events"]
    assert event["tags"] == ["orange"]
    assert stored().events == before.events


def test_a_filtered_face_takes_its_body_along(client: Client, stored: Count) -> None:
    before: Stored = stored()
    body = generate(client, handler(client, {"roll_threshold": 1}), astronaut())
    assert body["events"] == []
    (face,) = body["filtered_detections"]["face_detections"]
    (along,) = body["filtered_detections"]["body_detections"]
    assert along["filter_reasons"] == face["filter_reasons"]
    assert along["detection"]["sample"]["detection"]["rect"]
    assert stored() == before


def test_people_are_counted(client: Client) -> None:
    body = generate(client, handler(client, {"estimate_people_count": 1}), sample(6))
    assert body["images"][0]["people"] == {"count": 4, "coordinates": None}
    detect = {"detect_body": 0, "estimate_people_count": 1, "people_count_coordinates": 1}
    people = generate(client, handler(client, detect), sample(6))["images"][0]["people"]
    assert (people["count"], len(people["coordinates"])) == (4, 4)
    assert generate(client, handler(client), astronaut())["images"][0]["people"] is None


def test_bodies_of_one_person_become_one_event(client: Client, account: Account) -> None:
    path = handler(client, {"multiface_policy": 2})
    files = [SimpleUploadedFile(name, data, JPEG) for name, data in (("a.jpg", astronaut()), ("b.jpg", astronaut()))]
    answer = client.post(f"{path}/events?aggregate_attributes=1", {"image": files})
    assert answer.status_code == 201, answer.json()
    (event,) = answer.json()["events"]
    assert len(event["body_attributes"]["samples"]) == 2
    together = event["aggregate_estimations"]["body"]["attributes"]
    assert together["upper_body"]["upper_clothing"]["colors"][0] == "orange"
    assert len(Event.objects.for_account(account.account_id).get().body_detections) == 2


@pytest.mark.parametrize(("detect_face", "code"), [(0, 11053), (1, 11038)])
def test_several_people_can_be_refused(client: Client, detect_face: int, code: int) -> None:
    path = handler(client, {"multiface_policy": 0, "detect_face": detect_face})
    answer = client.post(f"{path}/events", sample(6), JPEG)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)


@pytest.fixture
def body_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A body descriptor network: the mean of each channel, version 2004."""
    directory = directory_with_embedded(tmp_path)
    install(
        directory, channel_means(size=64).model(), name="tiny-body", task="body_descriptor",
        outputs=[{"name": "values", "shape": [3]}],
        entry={"shape": [3, 64, 64], "layout": "NCHW", "colour": "RGB", "std": [255.0]},
        descriptor={
            "version": 2004, "dimension": 3, "raw_encoding": "float32-le", "match_cosine": 0.9, "possible_cosine": 0.8,
            "calibration": [[-1.0, 0.0], [1.0, 1.0]], "calibrated_on": "nothing",
        },
    )  # fmt: skip
    engine = engine_of(directory)
    calibration = Calibration(((-1.0, 0.0), (1.0, 1.0)))
    versions.register(DescriptorVersion(2004, "body", "tiny-body", 3, "float32-le", calibration))
    monkeypatch.setattr(facade._engine, "value", engine)
    yield
    engine.close()


@pytest.mark.usefixtures("body_network")
def test_a_body_descriptor_is_kept_with_the_event(client: Client, account: Account) -> None:
    path = handler(client, extract_policy={"extract_body_descriptor": 1})
    (event,) = generate(client, path, astronaut())["events"]
    assert 0 < event["body_attributes"]["score"] < 1
    rows = EventDescriptor.objects.filter(event__account_id=account.account_id)
    assert {row.version for row in rows} == {versions.default("face").version, 2004}
    query = "/6/sdk?detect_body=1&estimate_body_descriptor=1&aggregate_attributes=1"
    answer = client.post(query, astronaut(), JPEG).json()
    shown = answer["images_estimations"][0]["estimations"][0]["body"]["attributes"]["descriptor"]
    together = answer["aggregate_estimations"]["body"]["attributes"]["descriptor"]
    assert shown == together
    version, vector = sdk_decode(base64.b64decode(shown["sdk_descriptor"]))
    assert version.version == 2004
    np.testing.assert_allclose(vector, np.array(next(row for row in rows if row.version == 2004).vector), atol=1e-5)


@pytest.mark.usefixtures("body_network")
def test_bodies_are_matched_with_the_bodies_of_events(client: Client) -> None:
    extract = {"extract_face_descriptor": 0, "extract_body_descriptor": 1}
    (first,) = generate(client, handler(client, extract_policy=extract), astronaut())["events"]
    policy = {"label": "seen", "descriptor": "body", "candidates": {"origin": "events"}}
    (event,) = generate(client, handler(client, extract_policy=extract, match_policy=[policy]), astronaut())["events"]
    (candidate,) = event["matches"][0]["candidates"]
    assert candidate["event"]["event_id"] == event["top_match"]["event_id"] == first["event_id"]
    assert candidate["similarity"] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.usefixtures("body_network")
def test_the_body_descriptor_of_a_picture_finds_the_events_of_its_person(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What /6/sdk gives can be sent to the matcher."""
    monkeypatch.setitem(versions._defaults, "body", 2004)
    (stored,) = generate(client, handler(client, extract_policy={"extract_body_descriptor": 1}), astronaut())["events"]
    answer = client.post("/6/sdk?detect_body=1&estimate_body_descriptor=1", astronaut(), JPEG).json()
    found = answer["images_estimations"][0]["estimations"][0]["body"]["attributes"]["descriptor"]
    reference = {"type": "sdk_descriptor", "id": "picture", "data": found["sdk_descriptor"]}
    body: dict[str, Any] = {"references": [reference], "candidates": [{"filters": {}, "targets": ["event_id"]}]}
    (matched,) = client.post("/6/matcher/bodies", body, JSON).json()
    (result,) = matched["matches"][0]["result"]
    assert result == {"event": {"event_id": stored["event_id"]}, "similarity": pytest.approx(1.0, abs=1e-4)}
    raw = client.post("/6/matcher/raw", {"references": [reference], "candidates": [reference]}, JSON).json()
    assert raw["matches"][0]["matches"][0]["similarity"] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("extract", "policy"),
    [
        ({"extract_body_descriptor": 0}, {"descriptor": "body", "candidates": {"origin": "events"}}),
        ({"extract_body_descriptor": 1}, {"descriptor": "body", "candidates": {"origin": "faces"}}),
        ({"extract_face_descriptor": 0, "extract_body_descriptor": 1}, {"candidates": {"origin": "events"}}),
        ({"extract_body_descriptor": 1}, {"descriptor": "hand", "candidates": {"origin": "events"}}),
    ],
)
def test_a_match_policy_needs_its_descriptor(client: Client, extract: dict[str, int], policy: dict[str, Any]) -> None:
    policies = {"extract_policy": extract, "match_policy": [{"label": "a", **policy}]}
    answer = client.post("/6/handlers", {"policies": policies}, JSON)
    assert (answer.status_code, answer.json()["error_code"]) == (400, 12027)


def test_a_body_descriptor_needs_a_network(client: Client, configure: Any) -> None:
    policy = {"label": "seen", "descriptor": "body", "candidates": {"origin": "events"}}
    path = handler(client, extract_policy={"extract_body_descriptor": 1}, match_policy=[policy])
    body = client.post(f"{path}/events", astronaut(), JPEG).json()
    assert body["unavailable_estimations"] == ["body_descriptor"]
    assert [(event["matches"], event["top_match"]) for event in body["events"]] == [([], None)]
    assert not EventDescriptor.objects.filter(version__gte=1100).exists()
    configure(MissingNetworks, refuse_estimations=True)
    assert client.post(f"{path}/events", astronaut(), JPEG).json()["error_code"] == 200005
