"""Traces of requests, stages of tasks, jobs, callbacks and notifications, off by default.

OpenTelemetry is imported only while they are on.
"""

import importlib.util
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeAlias

from django.core.checks import CheckMessage, Error

from apps.common.config import config
from apps.common.process import PerProcess, Status
from apps.monitoring.config import Tracing

if TYPE_CHECKING:
    from apps.monitoring.spans import Kind, Span, Tracer

PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
REQUIREMENTS = "requirements-otel.txt"
RequestSpan: TypeAlias = "Span | None"


def request_span(traceparent: str) -> RequestSpan:
    """Begin the span of a request, which continues the client's trace if `traceparent` is well formed.

    None while tracing is off.
    """
    return tracer().begin("request", traceparent=traceparent) if config(Tracing).enabled else None


def in_span(span: RequestSpan) -> AbstractContextManager[None]:
    """Return a context manager in which the stages and the database statements of this thread belong to a span."""
    return nullcontext() if span is None else span.running()


def task_span(stage: str, *, traceparent: str | None, task_type: int) -> AbstractContextManager[None]:
    """Return a context manager of the span of a task's stage, which continues the trace that created the task."""
    if not config(Tracing).enabled:
        return nullcontext()
    attributes = {"luna.task.type": task_type}
    span = tracer().begin(f"task {stage}", traceparent=traceparent or "", kind="CONSUMER", attributes=attributes)
    return span.whole()


def job_span(name: str) -> AbstractContextManager[None]:
    """Return a context manager of the span of a Celery task, which begins a trace."""
    if not config(Tracing).enabled:
        return nullcontext()
    return tracer().begin(f"job {name}", traceparent="", kind="CONSUMER").whole()


def handshake_span(span: RequestSpan) -> AbstractContextManager[None]:
    """Return a context manager in which the stages of a websocket's handshake belong to a span."""
    return nullcontext() if span is None else span.current()


def message_span(
    name: str, *, kind: "Kind", traceparent: str | None, **attributes: int
) -> AbstractContextManager[RequestSpan]:
    """Return a context manager of the span of a message that was created in a trace; without effect outside of one.

    `traceparent`: the span that created the message. `attributes`: by name after `luna.`.
    """
    if not traceparent or not config(Tracing).enabled:
        return nullcontext()
    named = {f"luna.{key}": value for key, value in attributes.items()}
    return tracer().begin(name, traceparent=traceparent, kind=kind, attributes=named).timed()


def traces_check(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Report tracing that is on without the packages of OpenTelemetry."""
    if not config(Tracing).enabled:
        return []
    try:
        missing = not all(map(importlib.util.find_spec, PACKAGES))
    except ModuleNotFoundError:  # a package around them
        missing = True
    if not missing:
        return []
    return [Error(f"Traces need packages that are missing: install {REQUIREMENTS}.")]


def _make() -> "Tracer":
    from apps.monitoring import spans

    settings = config(Tracing)
    return spans.Tracer(spans.exporter_of(settings), service_name=settings.service_name, ratio=settings.sample_ratio)


def _close(made: "Tracer") -> None:
    made.close()


def _status(made: "Tracer") -> Status:
    sending = made.sending
    return {"exported": sending.exported, "dropped": sending.dropped, "failing": int(sending.is_failing)}


tracer = PerProcess("traces", _make, close=_close, status=_status)
