"""`callbacks` of handlers: events POSTed to another server, after the commit."""

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import ormsgpack
import pytest
from django.test import Client, override_settings

from apps.sender import callbacks
from tests.api.handlers.conftest import JPEG, astronaut, make_handler

pytestmark = pytest.mark.django_db
BASIC = {"type": "basic", "login": "user", "password": "secret"}


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


class Hook(BaseHTTPRequestHandler):
    received: list[Received]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(Received(self.path, dict(self.headers), body))
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture
def hook() -> Iterator[tuple[str, list[Received]]]:
    received: list[Received] = []
    handler = type("ThisHook", (Hook,), {"received": received})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


@pytest.fixture
def generate(client: Client, django_capture_on_commit_callbacks: Any) -> Any:
    def make(*policies: Any, private: bool = True) -> Any:
        """Makes an event and waits until every callback was tried."""
        path = make_handler(client, {"storage_policy": {"callbacks": list(policies)}})
        with override_settings(LUNA_ALLOW_PRIVATE_URLS=private):
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
    assert sorted(call.path for call in received) == ["/broken", "/fine"]


def test_private_addresses_are_not_called(generate: Any, hook: Any) -> None:
    url, received = hook
    generate({"type": "http", "url": url}, private=False)
    assert received == []


def test_a_full_queue_drops_and_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    monkeypatch.setattr(callbacks, "PENDING_CALLS", 1)
    monkeypatch.setattr(callbacks, "_deliver", lambda call: release.wait(10))
    caller = callbacks.Caller()
    call = callbacks._Call(callbacks.Webhook(url="http://example.org/"), {}, b"")
    for _ in range(callbacks.THREADS + 5):
        caller.submit(call)
    release.set()
    caller.join()
    assert "is dropped" in caplog.text
