"""Spans of callbacks, in the trace that created them."""

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from apps.accounts.models import Account
from apps.monitoring.traces import request_span
from apps.sender.delivery.courier import Courier
from apps.sender.models import Callback
from apps.sender.targets import TransientError
from tests.factories import make_callback
from tests.traces import TRACE, TRACEPARENT, Exported, ids
from tests.unit.sender.targets import Noted, delivered, errors

pytestmark = pytest.mark.django_db


def test_attempts_continue_the_trace_of_the_request(account: Account, exported: Exported) -> None:
    errors["bad"] = TransientError("HTTP 503 of a client's text")
    request = request_span(TRACEPARENT)
    with request.running():
        make_callback(account, Noted(name="good"), payload='{"user_data":"Ada"}')
        make_callback(account, Noted(name="bad"))
    request.answered(method="POST", route="/6/x", status=201, error_code=None, request_id="-")
    courier = Courier()
    claimed = sorted(courier.claim(10), key=lambda each: each.place)
    courier.settle([courier.attempt(each) for each in claimed])
    root, failed, sent = spans = exported.spans()
    for each in (failed, sent):
        assert (each.name, each.kind, ids(each)[::2]) == ("callback noted", SpanKind.CLIENT, (TRACE, ids(root)[1]))
        assert each.attributes["luna.attempt"] == 1
    assert (failed.attributes["error.type"], failed.status.status_code) == ("TransientError", StatusCode.ERROR)
    assert (failed.status.description, failed.events) == (None, ())
    assert sent.status.status_code is StatusCode.UNSET
    text = "".join(each.to_json() for each in spans)
    assert not [each for each in ("Ada", "good", "bad", "503", str(account.pk)) if f'"{each}' in text]


def test_a_callback_of_no_trace(account: Account, exported: Exported) -> None:
    make_callback(account, Noted(name="a"))
    assert Callback.objects.unscoped().get().traceparent is None
    courier = Courier()
    courier.settle([courier.attempt(each) for each in courier.claim(10)])
    assert len(delivered) == 1
    assert exported.spans() == []
