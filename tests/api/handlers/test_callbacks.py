"""`callbacks` of handlers: stored with the event, and POSTed to another server."""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import ormsgpack
import pytest
from django.db import connection
from django.test import Client

from apps.common.config import AdditionalServices, OutgoingRequests, Services, override_config
from apps.common.secrets import MASK, Secret
from apps.common.times import utc_now
from apps.events.models import Event
from apps.handlers.models import Handler
from apps.sender.config import Callbacks
from apps.sender.models import Callback
from tests.api.handlers.deliveries import deliver_all
from tests.api.handlers.helpers import JPEG, astronaut, make_handler
from tests.api.handlers.webhooks import Hook
from tests.mqtt import LOGIN, PASSWORD, Subscriber, brokers

pytestmark = pytest.mark.django_db
SIGNING = "whsec_" + base64.b64encode(bytes(range(32))).decode()
BASIC = {"type": "basic", "login": "user", "password": "pa55w0rd"}


@pytest.fixture
def generate(client: Client) -> Any:
    def make(*policies: Any, private: bool = True, attempts: int = 1, **storage: Any) -> Any:
        """Makes an event, and as many attempts at each of its callbacks."""
        path = make_handler(client, {"storage_policy": {"callbacks": list(policies), **storage}})
        answer = client.post(f"{path}/events", astronaut(), JPEG)
        with override_config(OutgoingRequests, allow_private_urls=private), override_config(Callbacks, retry_first=0):
            deliver_all(attempts)
        assert answer.status_code == 201
        (event,) = answer.json()["events"]
        return event

    return make


def test_the_event_arrives_as_it_was_answered(generate: Any, hook: Any) -> None:
    url, received = hook
    headers = {"X-Door": "7"}
    event = generate(
        {"type": "http", "url": f"{url}/a?b=c", "authorization": BASIC, "params": {"headers": headers}},
    )
    (call,) = received
    assert call.path == "/a?b=c"
    assert (call.headers["Content-Type"], call.headers["X-Door"]) == ("application/json", "7")
    assert base64.b64decode(call.headers["Authorization"].removeprefix("Basic ")) == b"user:pa55w0rd"
    message = orjson.loads(call.body)
    assert message["event"] == event
    assert {"handler_id", "event_create_time", "event_end_time", "Luna-Request-Id"} <= set(message)


def test_messagepack(generate: Any, hook: Any) -> None:
    url, received = hook
    event = generate({"type": "http", "url": url, "params": {"content_type": "application/msgpack"}})
    (call,) = received
    assert call.headers["Content-Type"] == "application/msgpack"
    assert ormsgpack.unpackb(call.body)["event"] == event


def test_only_where_the_policy_says(generate: Any, hook: Any) -> None:
    url, received = hook
    generate(
        {"type": "http", "url": f"{url}/off", "enable": 0},
        {"type": "http", "url": f"{url}/filtered", "filters": {"match": [{"label": "nobody"}]}},
        {"type": "http", "url": f"{url}/on"},
    )
    assert [call.path for call in received] == ["/on"]


def test_a_server_that_fails_does_not_stop_the_others(generate: Any, hook: Any) -> None:
    url, received = hook
    generate(
        {"type": "http", "url": f"{url}/broken"},
        {"type": "http", "url": "http://127.0.0.1:1/nobody-listens"},
        {"type": "http", "url": f"{url}/fine"},
        attempts=3,
    )
    assert sorted(call.path for call in received) == ["/broken", "/broken", "/broken", "/fine"]
    waiting = Callback.objects.unscoped().order_by("id")
    assert [(row.attempts, row.dead_time) for row in waiting] == [(3, None), (3, None)]
    assert "HTTP 500" in waiting[0].error


def test_attempts_are_the_same_until_one_succeeds(generate: Any, hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url, received = hook
    answers = iter((503, 200))
    monkeypatch.setattr(Hook, "send_response", lambda self, status: BaseHTTPRequestHandler.send_response(
        self, next(answers)))  # fmt: skip
    generate({"type": "http", "url": url, "authorization": BASIC}, attempts=3)
    first, second = received
    assert (first.path, first.body) == (second.path, second.body)
    assert UUID(first.headers["webhook-id"]) == UUID(second.headers["webhook-id"])
    assert not Callback.objects.unscoped().exists()


def test_a_server_asks_for_a_later_attempt(generate: Any, hook: Any) -> None:
    generate({"type": "http", "url": f"{hook[0]}/busy"}, attempts=1)
    waiting = Callback.objects.unscoped().get()
    assert waiting.error == "HTTP 429"
    assert 100 < (waiting.due_time - utc_now()).total_seconds() <= 120


@pytest.mark.parametrize("path", ["/moved", "/refused"])
def test_answers_that_stay_are_taken_as_they_are(generate: Any, hook: Any, path: str) -> None:
    """Redirects are not followed, and permanent failures are not retried: they are dead letters."""
    url, received = hook
    generate({"type": "http", "url": f"{url}{path}"}, attempts=2)
    assert [call.path for call in received] == [path]
    assert Callback.objects.unscoped().get().dead_time is not None


def test_private_addresses_are_not_called(generate: Any, hook: Any, caplog: pytest.LogCaptureFixture) -> None:
    url, received = hook
    generate({"type": "http", "url": f"{url}/?key=private", "authorization": BASIC}, private=False)
    assert received == []
    assert caplog.text.count("not public") == 1
    assert "not public" in Callback.objects.unscoped().get(dead_time__isnull=False).error
    assert not any(word in caplog.text for word in ("private", "pa55w0rd"))


def test_another_key_of_the_platform_delivers_nothing(generate: Any, hook: Any, configure: Callable[..., None]) -> None:
    url, received = hook
    generate({"type": "http", "url": url, "authorization": BASIC}, attempts=0)
    configure(Services, secret_key="another")
    configure(OutgoingRequests, allow_private_urls=True)
    deliver_all()
    assert received == []
    assert "LUNA_SECRET_KEY" in Callback.objects.unscoped().get(dead_time__isnull=False).error


def test_the_outbox_holds_no_plain_secret(generate: Any, hook: Any) -> None:
    url, _ = hook
    params = {"headers": {"X-Door": "a header"}, "secret": SIGNING}
    generate({"type": "http", "url": url, "authorization": BASIC, "params": params}, attempts=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sender_callback::text FROM sender_callback")
        (row,) = cursor.fetchone()
    assert not any(word in row for word in ("a header", SIGNING, BASIC["password"]))


def test_events_that_are_not_stored_have_callbacks(generate: Any, hook: Any) -> None:
    url, received = hook
    event = generate({"type": "http", "url": url}, event_policy={"store_event": 0})
    assert orjson.loads(received[0].body)["event"]["event_id"] == event["event_id"]
    assert not Event.objects.unscoped().exists()


def test_a_receiver_verifies_the_signature(generate: Any, hook: Any) -> None:
    """As the documentation shows."""
    url, received = hook
    generate({"type": "http", "url": url, "params": {"secret": SIGNING}}, {"type": "http", "url": f"{url}/unsigned"})
    signed, unsigned = sorted(received, key=lambda call: call.path)
    headers = signed.headers
    content = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), signed.body))
    key = base64.b64decode(SIGNING.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == expected
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 60
    assert "webhook-signature" not in unsigned.headers
    assert unsigned.headers["webhook-id"] != headers["webhook-id"]


def test_the_secret_is_masked_and_the_mask_keeps_it(client: Client, hook: Any) -> None:
    policies = {
        "storage_policy": {"callbacks": [{"type": "http", "url": "http://a.test", "params": {"secret": SIGNING}}]}
    }
    path = make_handler(client, policies)
    shown = client.get(path).json()
    assert shown["policies"]["storage_policy"]["callbacks"][0]["params"]["secret"] == MASK
    assert client.put(path, {"policies": shown["policies"], "description": ""}, "application/json").status_code == 204
    stored = Handler.objects.unscoped().get().policies["storage_policy"]["callbacks"][0]
    assert Secret(stored["params"]["secret"]["sealed"]).reveal() == SIGNING


@pytest.mark.parametrize("secret", ["short", "whsec_%%%", "whsec_QUJD", 7, ""])
def test_secrets_that_cannot_sign(client: Client, secret: Any) -> None:
    callback = {"type": "http", "url": "http://a.test", "params": {"secret": secret}}
    body = {"policies": {"storage_policy": {"callbacks": [callback]}}}
    answer = client.post("/6/handlers", body, "application/json")
    assert (answer.status_code, answer.json()["error_code"]) == (400, 12027)


def test_mqtt(generate: Any, tmp_path: Path) -> None:
    with brokers(tmp_path) as broker:
        subscriber = Subscriber(broker.port)
        callback = {
            "type": "mqtt",
            "url": f"mqtt://127.0.0.1:{broker.port}",
            "authorization": {"type": "basic", "login": LOGIN, "password": PASSWORD},
            "params": {"topic": "luna/{handler_id}/{source}"},
        }
        event = generate(callback)
        message = subscriber.next()
        subscriber.close()
    body = orjson.loads(message.payload)
    assert body["event"] == event
    assert message.topic == f"luna/{body['handler_id']}/-"


@pytest.mark.parametrize(
    ("storage", "status"),
    [
        ({}, 201),
        ({"notification_policy": {"send_notification": 0}}, 201),
        ({"notification_policy": {}}, 403),
        ({"callbacks": [{"type": "luna-ws-notification"}]}, 403),
        ({"callbacks": [{"type": "luna-ws-notification", "enable": 0}]}, 201),
    ],
)
def test_a_disabled_sender(client: Client, configure: Callable[..., None], storage: Any, status: int) -> None:
    """A handler that asks for notifications is an error, not silence; its creation is none."""
    path = make_handler(client, {"storage_policy": storage})
    configure(AdditionalServices, luna_sender=False)
    answer = client.post(f"{path}/events", astronaut(), JPEG)
    assert answer.status_code == status
    assert status == 201 or answer.json()["error_code"] == 35001
    assert Event.objects.unscoped().exists() is (status == 201)
    assert not client.get("/6/features").json()["components"]["sender"]
