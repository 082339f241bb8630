"""`callbacks` of handlers: events POSTed to another server, after the commit."""

import base64
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson
import ormsgpack
import pytest
from django.test import Client

from apps.common.config import OutgoingRequests, Services, override_config
from apps.common.secrets import Secret
from apps.sender import callbacks
from tests.api.handlers.helpers import JPEG, astronaut, make_handler
from tests.api.handlers.webhooks import Hook

pytestmark = pytest.mark.django_db
BASIC = {"type": "basic", "login": "user", "password": "secret"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "RETRY_DELAYS_S", (0.01, 0.02))


@pytest.fixture
def generate(client: Client, django_capture_on_commit_callbacks: Any) -> Any:
    def make(*policies: Any, private: bool = True) -> Any:
        """Makes an event and waits until every callback was tried."""
        path = make_handler(client, {"storage_policy": {"callbacks": list(policies)}})
        with override_config(OutgoingRequests, allow_private_urls=private):
            with django_capture_on_commit_callbacks(execute=True):
                answer = client.post(f"{path}/events", astronaut(), JPEG)
            callbacks._caller().join()
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
    assert base64.b64decode(call.headers["Authorization"].removeprefix("Basic ")) == b"user:secret"
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
    )
    assert sorted(call.path for call in received) == ["/broken", "/broken", "/broken", "/fine"]


def test_attempts_are_the_same_until_one_succeeds(generate: Any, hook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url, received = hook
    answers = iter((503, 200))
    monkeypatch.setattr(Hook, "send_response", lambda self, status: BaseHTTPRequestHandler.send_response(
        self, next(answers)))  # fmt: skip
    generate({"type": "http", "url": url, "authorization": BASIC})
    first, second = received
    assert first == second


@pytest.mark.parametrize("path", ["/moved", "/refused"])
def test_answers_that_stay_are_taken_as_they_are(generate: Any, hook: Any, path: str) -> None:
    """Redirects are not followed, and permanent failures are not retried."""
    url, received = hook
    generate({"type": "http", "url": f"{url}{path}"})
    assert [call.path for call in received] == [path]


def test_private_addresses_are_not_called(generate: Any, hook: Any, caplog: pytest.LogCaptureFixture) -> None:
    url, received = hook
    generate({"type": "http", "url": f"{url}/?key=private", "authorization": BASIC}, private=False)
    assert received == []
    assert caplog.text.count("not public") == 1
    assert not any(word in caplog.text for word in ("private", "secret"))


def test_a_full_queue_drops_and_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    monkeypatch.setattr(callbacks, "PENDING_CALLS", 1)
    monkeypatch.setattr(callbacks, "_deliver", lambda call: release.wait(10))
    caller = callbacks.Caller()
    call = callbacks._Call(callbacks.Webhook(url="http://example.org/?key=private"), b"")
    for _ in range(callbacks.THREADS + 5):
        caller.submit(call)
    release.set()
    caller.join()
    assert "Dropped the callback" in caplog.text
    assert "private" not in caplog.text


def test_another_key_of_the_platform_delivers_nothing(
    hook: Any, caplog: pytest.LogCaptureFixture, configure: Callable[..., None]
) -> None:
    url, received = hook
    configure(OutgoingRequests, allow_private_urls=True)
    webhook = callbacks.Webhook(url=url, login=Secret.seal("user"), password=Secret.seal("secret"))
    configure(Services, secret_key="another")
    assert not callbacks._deliver(callbacks._Call(webhook, b"{}"))
    assert received == []
    assert "LUNA_SECRET_KEY" in caplog.text
