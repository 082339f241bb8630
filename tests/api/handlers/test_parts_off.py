"""ADDITIONAL_SERVICES_USAGE: requests to a part that is off are rejected before anything is read or stored."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.choices import AccountType
from apps.common.config import AdditionalServices, override_config
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler
from tests.api.handlers.requests import Count, error_of
from tests.api.handlers.test_verifications import verifier, verify
from tests.factories import basic_client, make_account

pytestmark = pytest.mark.django_db
ID = str(uuid4())
EVENT_CANDIDATES = {"references": [{"type": "face", "id": ID}], "candidates": [{"filters": {"origin": "events"}}]}
EVENT_REFERENCE = {"references": [{"type": "event", "id": ID}], "candidates": [{"filters": {"origin": "faces"}}]}


def test_without_events(client: Client, stored: Count) -> None:
    handler = make_handler(client, {"storage_policy": {"event_policy": {"store_event": 0}}})
    verifications = f"{verifier(client)}/verifications?event_ids={ID}"
    before = stored()
    with override_config(AdditionalServices, luna_events=False):
        for answer in (
            client.post(f"{handler}/events", astronaut(), JPEG),
            client.post(f"{handler}/stream_events", astronaut(), JPEG),
            client.get("/6/events"),
            client.get(f"/6/events/{ID}"),
            client.post("/6/events/stats", {"targets": []}, JSON),
            client.post("/6/matcher/faces", EVENT_CANDIDATES, JSON),
            client.post("/6/matcher/faces", EVENT_REFERENCE, JSON),
            client.post(verifications, astronaut(), JPEG),
            client.post("/6/faces", {"event_id": ID}, JSON),
            client.patch(f"/6/faces/{ID}", {"event_id": ID}, JSON),
        ):
            assert error_of(answer) == (403, 11040)
        kept = {"match_policy": [{"label": "a", "candidates": {"origin": "events"}}],
                "storage_policy": {"event_policy": {"store_event": 1}}}  # fmt: skip
        assert make_handler(client, kept)
        assert client.post("/6/faces", {}, JSON).status_code == 201
        assert client.get("/6/features").json()["components"]["events"] is False
    assert stored() == replace(before, faces=before.faces + 1)


@pytest.mark.parametrize(
    "path",
    ["/6/samples/faces", f"/6/samples/faces/{ID}", f"/6/samples/bodies/{ID}", "/6/images", f"/6/images/{ID}",
     "/6/objects", f"/6/objects/{ID}", "/1/buckets", "/1/buckets/visionlabs-samples",
     f"/1/buckets/visionlabs-samples/images/{ID}", "/6/detector", "/6/extractor"],
)  # fmt: skip
def test_without_the_image_store(client: Client, path: str) -> None:
    posted = path in ("/6/samples/faces", "/6/images", "/6/objects", "/6/detector", "/6/extractor")
    with override_config(AdditionalServices, luna_image_store=False):
        if path.count("/") < 4 and path.startswith("/1/buckets"):
            client = basic_client(make_account(AccountType.ADMIN))
        send = client.post if posted else client.get
        assert error_of(send(path)) == (403, 11070), path


def test_policies_without_the_image_store(client: Client, stored: Count) -> None:
    silent, own_verifier = make_handler(client, {}), verifier(client)
    policies: list[dict[str, Any]] = [
        {"face_sample_policy": {"store_sample": 1}}, {"body_sample_policy": {}},
        {"image_origin_policy": {"store_image": 1}},
    ]  # fmt: skip
    asking = [make_handler(client, {"storage_policy": policy}) for policy in policies]
    refusing = make_handler(client, {"storage_policy": {"face_sample_policy": {"store_sample": 0},
                                                        "face_policy": {"store_face": 1}}})  # fmt: skip
    sample = client.post("/6/detector", astronaut(), JPEG).json()["images"][0]["detections"]["samples"][0]
    sample_id, url = sample["face"]["sample_id"], sample["face"]["url"]
    before = stored()
    with override_config(AdditionalServices, luna_image_store=False):
        for handler in asking:
            assert error_of(client.post(f"{handler}/events", astronaut(), JPEG)) == (403, 11070)
        assert error_of(client.post("/6/sdk", {"samples": [sample_id]}, JSON)) == (403, 11070)
        assert b'"error_code":11070' in client.post("/6/sdk", {"urls": [url]}, JSON).content
        assert stored() == before
        for handler in (silent, refusing):
            event = client.post(f"{handler}/events", astronaut(), JPEG).json()["events"][0]
            assert event["detections"][0]["samples"]["face"]["sample_id"] is None
            assert event["detections"][0]["samples"]["face"]["url"] is None
        assert not event["face"]["avatar"]
        verify(client, own_verifier, f"face_ids={event['face']['face_id']}")
        assert client.get("/6/features").json()["components"]["image_store"] is False
    assert stored().files == before.files


@pytest.mark.parametrize("send", ["get", "post"])
def test_without_handlers(client: Client, send: str) -> None:
    paths: dict[str, Any] = {
        "get": ("/6/handlers", "/6/handlers/count", f"/6/handlers/{ID}", "/6/verifiers", "/6/verifiers/count"),
        "post": ("/6/handlers", f"/6/handlers/{ID}/events", "/6/verifiers", f"/6/verifiers/{ID}/raw", "/6/detector",
                 "/6/extractor"),
    }  # fmt: skip
    with override_config(AdditionalServices, luna_handlers=False):
        for path in paths[send]:
            assert error_of(getattr(client, send)(path)) == (403, 11071), path
        assert client.get("/6/faces").status_code == client.get("/6/events").status_code == 200
        assert client.get("/6/features").json()["components"]["handlers"] is False


def test_without_the_sender(client: Client, stored: Count) -> None:
    policies = {"storage_policy": {"notification_policy": {"send_notification": 1}}}
    notifying, silent = make_handler(client, policies), make_handler(client, {})
    before = stored()
    with override_config(AdditionalServices, luna_sender=False):
        assert error_of(client.post(f"{notifying}/events", astronaut(), JPEG)) == (403, 35001)
        assert error_of(client.post("/6/ws/ticket")) == (403, 35001)
        assert stored() == before
        assert client.post(f"{silent}/events", astronaut(), JPEG).status_code == 201
        assert client.get("/6/features").json()["components"]["sender"] is False


@pytest.mark.parametrize("on", [True, False])
def test_lambdas(client: Client, on: bool) -> None:
    with override_config(AdditionalServices, luna_lambda=on):
        body = {"handler_type": 2, "description": "", "lambda_id": ID}
        assert error_of(client.post("/6/handlers", body, JSON)) == (403, 11072)
        assert error_of(client.post("/6/tasks/lambda", {"content": {"lambda_id": ID}}, JSON)) == (403, 11072)
        for path in ("/6/lambdas", "/6/lambdas/count", f"/6/lambdas/{ID}", f"/6/lambdas/{ID}/proxy/a/b"):
            for send in (client.get, client.post, client.put, client.patch, client.delete):
                assert error_of(send(path)) == (403, 11072)
        assert client.get("/6/features").json()["components"]["lambdas"] is False
    assert error_of(Client().get("/6/lambdas")) == (403, 12010)


@pytest.mark.parametrize(
    ("page", "service"),
    [("events/event", "Events"), ("people/person", "Events"), ("handlers/handler", "Handlers"),
     ("handlers/verifier", "Handlers"), ("imagestore/storedobject", "Image Store"), ("tasks/task", "Tasks"),
     ("tasks/schedule", "Tasks")],
)  # fmt: skip
def test_pages_state_that_their_service_is_off(page: str, service: str) -> None:
    site = Client()
    site.force_login(make_account(AccountType.ADMIN))
    notice = f"The service {service} is off"
    assert notice not in site.get(f"/admin/{page}/").content.decode()
    with override_config(AdditionalServices, **{f"luna_{service.lower().replace(' ', '_')}": False}):
        assert notice in site.get(f"/admin/{page}/").content.decode()
