"""Traces: spans of requests, stages and tasks, what they never contain, and a collector that is away."""

import asyncio
import gzip
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.checks.registry import registry
from django.db import connection
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanKind, StatusCode

from apps.accounts.models import Account
from apps.common import errors
from apps.common.clock import Clock
from apps.common.config import config, override_config
from apps.common.errors import LunaError
from apps.common.request_id import HEADER
from apps.common.tracing import current_span, current_traceparent
from apps.monitoring import traces
from apps.monitoring.config import Tracing
from apps.monitoring.spans import Tracer, exporter_of
from apps.monitoring.traces import request_span, task_span, tracer, traces_check
from luna.celery import app
from luna.embedded.addresses import CHECKOUT
from luna.http import access
from luna.http.application import WSGIPool
from luna.http.limits import Limits
from tests.factories import make_account
from tests.ports import free_port
from tests.tasks import installed, make_task, run_all
from tests.traces import PARENT, TRACE, TRACEPARENT, Exported, ids
from tests.unit.tasks.types import Numbers
from tests.variables import refusal

REQUEST = "1795727647,8ecc7686-24ee-4c9d-9a58-3d2c5a7e9b11"
ROUTE = "/6/faces/{face_id}"
SECRET = "8ecc7686-0000-4c9d-9a58-3d2c5a7e9b11"


def ask(application: Callable[..., Any], *, method: str = "GET", traceparent: str = "") -> None:
    """Send a request whose path, query, headers and body contain `SECRET`."""
    messages = [{"type": "http.request", "body": SECRET.encode()}]
    headers = {HEADER.lower(): REQUEST, "traceparent": traceparent, "tracestate": f"vendor={SECRET}",
               "content-length": str(len(SECRET)), "authorization": f"Bearer {SECRET}"}  # fmt: skip
    path = f"/6/faces/{SECRET}"
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": f"user_data={SECRET}".encode(), "server": ("127.0.0.1", 5000),
        "client": ("127.0.0.2", 40000), "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        pass

    pool = WSGIPool(application, Limits(threads=1, reserved_threads=1, max_body_bytes=1000))
    try:
        asyncio.run(pool(scope, receive, send))
    finally:
        pool.close()


def answering(status: str = "200 OK", work: Callable[[], object] = dict) -> Callable[..., Any]:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        environ[access.ROUTE] = ROUTE
        work()
        start_response(status, [])
        return [b""]

    return application


def test_a_request_with_nested_stages(exported: Exported) -> None:
    clock = Clock()

    def detect() -> None:
        with clock.stage("detect"):
            pass

    def work() -> None:
        with clock.stage("recognise"):
            with clock.stage("decode"):
                pass
            with ThreadPoolExecutor(1) as pool:  # as for several pictures of a request
                pool.submit(copy_context().run, detect).result()
        with clock.stage("store"):
            pass

    ask(answering(work=work), traceparent=TRACEPARENT)
    decode, detected, recognise, store, root = spans = exported.spans()
    assert [each.name for each in spans] == ["decode", "detect", "recognise", "store", f"GET {ROUTE}"]
    assert root.kind is SpanKind.SERVER
    assert ids(root)[0] == TRACE
    assert ids(root)[2] == PARENT
    assert ids(recognise)[2] == ids(store)[2] == ids(root)[1]
    assert ids(decode)[2] == ids(detected)[2] == ids(recognise)[1]
    assert root.start_time < recognise.start_time <= decode.start_time < decode.end_time <= recognise.end_time
    assert {*clock.stage_ms} == {"decode", "detect", "recognise", "store"}
    assert root.resource.attributes == {"service.name": "luna"}
    assert {name: value for name, value in root.attributes.items() if name != "luna.database.ms"} == {
        "http.request.method": "GET", "http.route": ROUTE, "http.response.status_code": 200,
        "luna.request_id": REQUEST, "luna.database.statements": 0,
    }  # fmt: skip
    assert current_span.get() is None


def test_spans_contain_nothing_of_the_client(exported: Exported) -> None:
    def work() -> None:
        with Clock().stage("decode"):
            raise ValueError(SECRET)

    ask(answering(work=work), method=f"GET {SECRET}", traceparent=TRACEPARENT)
    stage, root = exported.spans()
    assert SECRET not in stage.to_json() + root.to_json()
    assert root.name == f"_OTHER {ROUTE}"
    assert (stage.attributes["error.type"], stage.status.status_code) == ("ValueError", StatusCode.ERROR)
    assert (stage.events, stage.status.description) == ((), None)
    assert (root.attributes["http.response.status_code"], root.attributes["error.type"]) == (500, "500")
    assert root.attributes["luna.error_code"] == errors.INTERNAL_ERROR


def test_an_error_of_the_client_is_no_failure(exported: Exported) -> None:
    def work() -> None:
        with pytest.raises(LunaError), Clock().stage("detect"):
            raise LunaError(errors.FACE_NOT_FOUND, SECRET)

    ask(answering("404 Not Found", work))
    stage, root = exported.spans()
    assert stage.status.status_code is root.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("traceparent", ["", "00-0-0-01", f"ff-{TRACE}-{PARENT}-01", SECRET])
def test_a_malformed_traceparent_begins_a_trace(traceparent: str, exported: Exported) -> None:
    ask(answering(), traceparent=traceparent)
    (root,) = exported.spans()
    assert root.parent is None


def test_a_client_that_does_not_sample(exported: Exported) -> None:
    told: list[str | None] = []
    ask(answering(work=lambda: told.append(current_traceparent())), traceparent=f"{TRACEPARENT[:-2]}00")
    assert exported.spans() == []
    assert told[0].startswith(f"00-{TRACE}-")
    assert told[0].endswith("-00")


def test_no_share_of_traces(exported: Exported) -> None:
    tracer.replace(Tracer(exported, service_name="luna", ratio=0.0)).close()
    ask(answering())
    assert exported.spans() == []


@pytest.mark.django_db
def test_statements_are_counted_and_not_shown(exported: Exported) -> None:
    span = request_span("")
    with span.running(), connection.cursor() as cursor:
        cursor.execute("SELECT %s, pg_sleep(0.02)", [SECRET])
        cursor.execute("SELECT 1")
    span.answered(method="GET", route=ROUTE, status=200, error_code=None, request_id=REQUEST)
    (root,) = exported.spans()
    assert root.attributes["luna.database.statements"] == 2
    assert 20 <= root.attributes["luna.database.ms"] < 10_000
    assert SECRET not in root.to_json()


@pytest.mark.django_db
@pytest.mark.usefixtures("store_dir")
def test_stages_of_a_task_continue_the_trace_of_its_request(exported: Exported) -> None:
    owner: Account = make_account()
    numbers = Numbers()
    span = request_span(TRACEPARENT)
    with span.running():
        task = make_task(numbers, {"until": 2, "subtasks": 2}, account_id=owner.pk)
    span.answered(method="POST", route="/6/tasks", status=202, error_code=None, request_id=REQUEST)
    with installed(numbers):
        run_all()
    root, *stages = exported.spans()
    assert task.traceparent == f"00-{TRACE}-{ids(root)[1]}-01"
    assert [each.name for each in stages] == ["task split", "task process", "task process", "task merge"]
    for stage in stages:
        assert (ids(stage)[0], ids(stage)[2], stage.kind) == (TRACE, ids(root)[1], SpanKind.CONSUMER)
        assert stage.attributes["luna.task.type"] == numbers.number
        assert stage.attributes["luna.database.statements"] > 0
        assert str(owner.pk) not in stage.to_json()


@pytest.mark.django_db
def test_a_task_of_no_trace(exported: Exported) -> None:
    task = make_task(Numbers(), {"until": 1}, account_id=make_account().pk)
    assert task.traceparent is None
    with pytest.raises(ValueError, match="a text"), task_span("split", traceparent=None, task_type=7):
        raise ValueError("a text")
    (span,) = exported.spans()
    assert (span.parent, span.attributes["error.type"], span.events) == (None, "ValueError", ())


def test_no_span_while_traces_are_off() -> None:
    assert not config(Tracing).enabled
    seen: list[object] = []
    ask(answering(work=lambda: seen.append(current_traceparent())), traceparent=TRACEPARENT)
    with task_span("split", traceparent=TRACEPARENT, task_type=7):
        seen.append(current_span.get())
    assert seen == [None, None]
    assert tracer.value is None


OFF = """
import sys
sys.modules["opentelemetry"] = None  # as if it were not installed
import luna.asgi, luna.celery
from apps.monitoring.traces import request_span, task_span
assert request_span("") is None
with task_span("split", traceparent=None, task_type=7):
    pass
assert not [name for name in sys.modules if name.startswith("opentelemetry.") or name == "apps.monitoring.spans"]
"""


def test_platform_without_opentelemetry() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFF], cwd=CHECKOUT, env=os.environ | {"DJANGO_SETTINGS_MODULE": "luna.settings"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_traces_without_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert traces_check in registry.get_checks()
    for name in [each for each in sys.modules if each.startswith("opentelemetry.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert traces_check(None) == []
    with override_config(Tracing, enabled=True):
        (found,) = traces_check(None)
    assert found.is_serious()
    assert found.msg == "Traces need packages that are missing: install requirements-otel.txt."


def test_check_with_opentelemetry() -> None:
    assert traces_check(None) == []
    with override_config(Tracing, enabled=True):
        assert traces_check(None) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [("ENDPOINT", "collector:4318"), ("ENDPOINT", "ftp://collector"), ("ENDPOINT", "http://name:word@collector"),
     ("HEADERS", "no value"), ("HEADERS", "a=b\r\nc: d"), ("SAMPLE_RATIO", "1.1")],
)  # fmt: skip
def test_wrong_settings(name: str, text: str) -> None:
    message = refusal(Tracing, f"LUNA_TRACING_{name}", text)
    assert name != "HEADERS" or text not in message


class Collector(ThreadingHTTPServer):
    """A server that receives OTLP over HTTP. `status`: of its answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.status = 200
        self.received: list[tuple[str, str | None, ExportTraceServiceRequest]] = []


class CollectorHandler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
            self.server.received.append((self.path, self.headers["Authorization"], request))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def test_a_collector_receives_spans(collector: Collector) -> None:
    endpoint = f"http://127.0.0.1:{collector.server_port}/v1/traces"
    settings = {
        "endpoint": endpoint,
        "headers": "Authorization=Basic bmFtZTp3b3Jk, x-tenant=desk",
        "service_name": "desk",
    }
    with override_config(Tracing, enabled=True, **settings):
        ask(answering(), traceparent=TRACEPARENT)
        tracer.close()  # exports what is left
    ((path, authorization, request),) = collector.received
    assert (path, authorization) == ("/v1/traces", "Basic bmFtZTp3b3Jk")
    (resource,) = request.resource_spans
    assert [(each.key, each.value.string_value) for each in resource.resource.attributes] == [("service.name", "desk")]
    (span,) = resource.scope_spans[0].spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == (f"GET {ROUTE}", TRACE, PARENT)
    assert not span.trace_state


def test_spans_of_a_refusing_collector_are_dropped(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    with override_config(Tracing, enabled=True, endpoint=f"http://127.0.0.1:{collector.server_port}/v1/traces"):
        with caplog.at_level(logging.INFO, logger="apps.monitoring.spans"):
            for status in (400, 400, 200):
                collector.status = status
                ask(answering())
                tracer().flush()
        assert tracer.status() == {"exported": 1, "dropped": 2, "failing": 0}
        tracer.close()
    assert [each.message for each in caplog.records if "traces" in each.message] == [
        "The collector of traces does not accept spans; they are dropped",
        "The collector of traces accepts spans again",
    ]


def test_a_collector_that_is_away_delays_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.monitoring.spans.TIMEOUT_S", 0.3)
    with override_config(Tracing, enabled=True, endpoint=f"http://127.0.0.1:{free_port()}/v1/traces"):
        ask(answering())
        tracer().flush()
        assert traces.tracer.status() == {"exported": 0, "dropped": 1, "failing": 1}
        ask(answering())
        tracer.close()


def test_exporter_of_settings() -> None:
    exporter_of(config(Tracing)).shutdown()


@pytest.mark.django_db
def test_a_job_begins_a_trace(exported: Exported) -> None:
    @app.task(name="test.count")
    def count() -> int:
        return Account.objects.count()

    assert count.apply().get() == 0  # as a worker executes it
    app.tasks.unregister("test.count")
    (span,) = exported.spans()
    assert (span.name, span.parent, span.kind) == ("job test.count", None, SpanKind.CONSUMER)
    assert span.attributes["luna.database.statements"] == 1
