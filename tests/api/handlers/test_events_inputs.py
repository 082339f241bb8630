"""What event generation takes: several images, references to images, policies of a dynamic handler, parameters."""

import io
from uuid import uuid4

import numpy as np
import pytest
from django.test import Client
from PIL import Image

from apps.accounts.models import Account
from apps.common.config import OutgoingRequests, override_config
from apps.events.models import Event, EventDescriptor
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler, nobody, sample
from tests.api.handlers.requests import Count, error_of, generate, generate_form
from tests.factories import client_of, make_account

pytestmark = pytest.mark.django_db


class TestManyImages:
    def test_one_bad_image_does_not_stop_the_others(self, client: Client, stored: Count) -> None:
        before = stored()
        answer = generate_form(client, make_handler(client), a=b"not an image", b=astronaut(), c=nobody())
        assert answer.status_code == 201
        body = answer.json()
        assert [(image["filename"], image["status"]) for image in body["images"]] == [("a", 0), ("b", 1), ("c", 1)]
        assert body["images"][0]["error"]["error_code"] == 18003
        assert [event["detections"][0]["filename"] for event in body["events"]] == ["b"]
        assert stored().events == before.events + 1

    def test_details_of_images(self, client: Client, account: Account) -> None:
        answer = generate_form(
            client,
            make_handler(client),
            a=astronaut(),
            meta={"door": {"number": 7}},
            detect_ts=[{"filename": "a", "detect_ts": 12.5}],
            detect_time="2024-01-02T03:04:05Z",
            image_origin="https://example.org/frame.jpg",
        )
        (event,) = answer.json()["events"]
        (detection,) = event["detections"]
        assert event["meta"] == {"door": {"number": 7}}
        assert (detection["detect_ts"], detection["image_origin"]) == (12.5, "https://example.org/frame.jpg")
        assert detection["detect_time"] == "2024-01-02T03:04:05.000000Z"
        row = Event.objects.for_account(account.account_id).get()
        assert row.meta == {"door": {"number": 7}}
        assert row.face_detections[0]["image_origin"] == "https://example.org/frame.jpg"

    def test_a_box_chooses_the_face(self, client: Client) -> None:
        everybody = generate(client, make_handler(client), sample(1))["events"]
        rect = everybody[-1]["detections"][0]["samples"]["face"]["detection"]["rect"]
        boxes = [{"filename": "a", "face_bounding_boxes": [rect]}]
        answer = generate_form(client, make_handler(client), a=sample(1), face_bounding_boxes=boxes)
        (event,) = answer.json()["events"]
        found = event["detections"][0]["samples"]["face"]["detection"]["rect"]
        assert abs(found["x"] - rect["x"]) < rect["width"] / 2
        outside = [{"filename": "a", "face_bounding_boxes": [{"x": 9999, "y": 0, "width": 5, "height": 5}]}]
        answer = generate_form(client, make_handler(client), a=sample(1), face_bounding_boxes=outside)
        assert answer.json()["images"][0]["error"]["error_code"] == 100016

    def test_aggregation_makes_one_event(self, client: Client, stored: Count) -> None:
        policies = {
            "detect_policy": {"multiface_policy": 2, "estimate_emotions": 1},
            "extract_policy": {"extract_basic_attributes": 1},
        }
        handler = make_handler(client, policies)
        mirrored = io.BytesIO()
        Image.open(io.BytesIO(astronaut())).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mirrored, "JPEG")
        before = stored()
        pictures = {"a": astronaut(), "b": mirrored.getvalue(), "c": nobody()}
        answer = generate_form(client, handler, query="?aggregate_attributes=1", **pictures)
        (event,) = answer.json()["events"]
        assert [detection["filename"] for detection in event["detections"]] == ["a", "b"]
        assert len(event["face_attributes"]["samples"]) == 2
        emotions = event["aggregate_estimations"]["face"]["attributes"]["emotions"]
        assert emotions["predominant_emotion"] == "happiness"
        after = stored()
        assert (after.events - before.events, after.event_descriptors - before.event_descriptors) == (1, 1)
        assert np.isclose(np.linalg.norm(EventDescriptor.objects.get().vector), 1)

    def test_aggregation_of_several_people(self, client: Client, stored: Count) -> None:
        handler = make_handler(client)
        before = stored()
        answer = client.post(f"{handler}/events?aggregate_attributes=1", sample(1), JPEG)
        assert error_of(answer) == (400, 11038)
        assert stored() == before


class TestReferences:
    def test_a_stored_sample_is_not_stored_again(self, client: Client, stored: Count) -> None:
        (first,) = generate(client, make_handler(client), astronaut())["events"]
        sample_id = first["detections"][0]["samples"]["face"]["sample_id"]
        policies = {"storage_policy": {"image_origin_policy": {"store_image": 1, "use_external_references": 1}}}
        handler = make_handler(client, policies)
        before = stored()
        (event,) = generate(client, handler, {"samples": [sample_id], "meta": {"a": 1}}, JSON)["events"]
        (detection,) = event["detections"]
        assert detection["samples"]["face"]["sample_id"] == sample_id
        assert detection["image_origin"] == f"/6/samples/faces/{sample_id}"
        assert event["meta"] == {"a": 1}
        assert (stored().objects, stored().events) == (before.objects, before.events + 1)
        vectors = [np.asarray(row.vector) for row in EventDescriptor.objects.order_by("event_id")]
        assert float(vectors[0] @ vectors[1]) > 0.99

    def test_our_own_images_are_read_from_the_store(self, client: Client) -> None:
        url = client.post("/6/images", astronaut(), JPEG).json()["url"]
        for reference in (url, f"http://127.0.0.1:5000{url}", {"url": url}):
            body = generate(client, make_handler(client), {"urls": [reference]}, JSON)
            assert (body["images"][0]["filename"], len(body["events"])) == (
                reference["url"] if isinstance(reference, dict) else reference, 1,
            )  # fmt: skip
        stranger = client_of(make_account())
        body = generate(stranger, make_handler(stranger), {"urls": [url]}, JSON)
        assert body["images"][0]["error"]["error_code"] == 11027

    def test_strange_samples(self, client: Client, stored: Count) -> None:
        (event,) = generate(client, make_handler(client), astronaut())["events"]
        sample_id = event["detections"][0]["samples"]["face"]["sample_id"]
        stranger = client_of(make_account())
        handler = make_handler(stranger)
        before = stored()
        body = generate(stranger, handler, {"samples": [sample_id, str(uuid4())]}, JSON)
        assert [image["error"]["error_code"] for image in body["images"]] == [11031, 11031]
        assert stored() == before

    def test_an_image_from_another_server(self, client: Client, live_photograph: str) -> None:
        policies = {"storage_policy": {"image_origin_policy": {"store_image": 1, "use_external_references": 1}}}
        handler = make_handler(client, policies)
        with override_config(OutgoingRequests, allow_private_urls=True):
            body = generate(client, handler, {"urls": [live_photograph, f"{live_photograph}.txt"]}, JSON)
        assert [image["error"]["error_code"] for image in body["images"]] == [0, 11028]
        (event,) = body["events"]
        assert event["detections"][0]["image_origin"] == live_photograph

    def test_private_addresses(self, client: Client) -> None:
        urls = ["http://127.0.0.1:5432/", "http://169.254.169.254/latest/meta-data", "http://localhost/"]
        body = generate(client, make_handler(client), {"urls": urls}, JSON)
        assert [image["error"]["error_code"] for image in body["images"]] == [11027] * 3


class TestSourceImages:
    @pytest.mark.parametrize(("kind", "content_type"), [("jpg", JPEG), ("png", "image/png")])
    def test_stored_in_the_wanted_format(self, client: Client, kind: str, content_type: str) -> None:
        policies = {"storage_policy": {"image_origin_policy": {"store_image": 1, "image_format": kind, "ttl": 7}}}
        events = generate(client, make_handler(client, policies), sample(1))["events"]
        (url,) = {event["detections"][0]["image_origin"] for event in events}
        answer = client.get(url)
        assert answer.headers["Content-Type"] == content_type
        assert Image.open(io.BytesIO(answer.getvalue())).size == Image.open(io.BytesIO(sample(1))).size
        assert client.get(events[0]["url"]).json()["face_detections"][0]["image_origin"] == url


class TestDynamicHandlers:
    def test_policies_come_with_the_request(self, client: Client, stored: Count) -> None:
        handler = make_handler(client, "dynamic", handler_type=1)
        before = stored()
        policies = {"storage_policy": {"event_policy": {"store_event": 0}}}
        answer = generate_form(client, handler, a=astronaut(), policies=policies)
        assert (answer.status_code, len(answer.json()["events"])) == (201, 1)
        assert stored().events == before.events

    def test_and_must_be_there_and_right(self, client: Client, stored: Count) -> None:
        handler = make_handler(client, "dynamic", handler_type=1)
        before = stored()
        assert error_of(client.post(f"{handler}/events", astronaut(), JPEG)) == (400, 12003)
        assert error_of(generate_form(client, handler, a=astronaut(), policies={"x": 1})) == (400, 12027)
        foreign = {"match_policy": [{"label": "a", "candidates": {"account_id": str(uuid4())}}]}
        assert error_of(generate_form(client, handler, a=astronaut(), policies=foreign)) == (403, 11069)
        assert stored() == before

    def test_a_static_handler_takes_none(self, client: Client) -> None:
        assert error_of(generate_form(client, make_handler(client), a=astronaut(), policies={})) == (403, 34007)


@pytest.mark.parametrize(
    "query",
    [
        "image_type=3", "image_type=x", "aggregate_attributes=2", "external_id=" + "x" * 37, "user_data=" + "x" * 129,
        "source=" + "x" * 129, "tags=" + "x" * 37, "tags=" + ",".join(map(str, range(31))), "track_id=" + "x" * 37,
        "city=" + "x" * 37, "street=" + "x" * 129, "longitude=181&latitude=0", "longitude=1",
        "latitude=nan&longitude=0", "stream_id=7", "use_exif_info=yes", "source=%00",
    ],
)  # fmt: skip
def test_bad_queries(client: Client, stored: Count, query: str) -> None:
    handler = make_handler(client)
    before = stored()
    assert error_of(client.post(f"{handler}/events?{query}", astronaut(), JPEG)) == (400, 12012)
    assert stored() == before


def test_bad_times(client: Client) -> None:
    answer = client.post(f"{make_handler(client)}/events", astronaut(), JPEG, headers={"Luna-Event-Time": "yesterday"})
    assert error_of(answer) == (400, 12046)
