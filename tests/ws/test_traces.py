"""Spans of websockets: the handshake, and the way of a notification from its request to the websockets."""

from uuid import uuid4

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from websockets.exceptions import InvalidStatus

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.tracing import current_span
from apps.monitoring.traces import request_span
from apps.sender import publisher as module
from apps.sender.publisher import Publisher, publisher
from apps.sender.sent import Notification
from tests.traces import PARENT, TRACE, TRACEPARENT, Exported, ids
from tests.ws.helpers import Listen, User, received_id


def test_a_handshake_and_a_notification(listen: Listen, user: User, exported: Exported) -> None:
    before = user.publish()  # outside of a trace
    publisher().drain()
    client = listen({**user.basic, "traceparent": TRACEPARENT}, f"tags=known&last_event_id={before}")
    request = request_span("")
    with request.running():
        event_id = user.publish("Ada", tags=["known"])
        user.publish("Ada", tags=["new"])  # no websocket accepts it
    request.answered(method="POST", route="/6/x", status=201, error_code=None, request_id="-")
    assert received_id(client) == event_id
    publisher().drain()
    client.close()
    spans = exported.spans()
    authenticate, subscribe, missed, handshake = spans[:4]
    assert [each.name for each in spans[:4]] == ["authenticate", "subscribe", "missed events", "GET /6/ws"]
    assert (ids(handshake)[0], ids(handshake)[2], handshake.kind) == (TRACE, PARENT, SpanKind.SERVER)
    assert ids(authenticate)[2] == ids(subscribe)[2] == ids(missed)[2] == ids(handshake)[1]
    assert handshake.attributes["http.response.status_code"] == 101
    assert len(handshake.attributes["luna.request_id"]) == 47

    (root,) = (each for each in spans if each.name == "POST /6/x")
    published = [each for each in spans if each.name == "notification publish"]
    delivered = [each for each in spans if each.name == "notification deliver"]
    assert {ids(each)[::2] for each in published} == {ids(root)[:2]}
    assert [ids(each)[2] for each in delivered] == [ids(each)[1] for each in published]
    assert [each.attributes["luna.websockets"] for each in delivered] == [1, 0]
    assert {each.kind for each in published} == {SpanKind.PRODUCER}
    assert {each.kind for each in delivered} == {SpanKind.CONSUMER}
    text = "".join(each.to_json() for each in spans)
    assert not [each for each in (str(user.account_id), user.login, event_id, "Ada", "known") if each in text]
    assert len(spans) == 9


def test_a_rejected_handshake(listen: Listen, user: User, exported: Exported) -> None:
    with pytest.raises(InvalidStatus):
        listen()
    authenticate, span = exported.spans()
    assert authenticate.name == "authenticate"
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET /6/ws", 403)
    assert span.attributes["luna.error_code"] == errors.SUBSCRIPTION_NEEDS_ACCOUNT


def test_a_lost_notification(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(notification: Notification) -> None:
        raise LunaError(errors.MESSAGE_PUBLISHING_FAILED)

    monkeypatch.setattr(module, "notification_send", fails)
    sender = Publisher()
    sender.submit(Notification(uuid4(), uuid4(), b"{}", "{}", TRACEPARENT))
    sender.submit(Notification(uuid4(), uuid4(), b"{}", "{}"))  # of no trace
    sender.close()
    (span,) = exported.spans()
    assert (span.attributes["error.type"], span.status.status_code) == ("lost", StatusCode.ERROR)
    assert current_span.get() is None
