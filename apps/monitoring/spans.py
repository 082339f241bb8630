"""Spans of OpenTelemetry, and their export over OTLP/HTTP. `apps.monitoring.traces` imports it while tracing is on.

Attributes have no path, query, body, account or id of a person: route template, method, status, error code, request
id, and the number and duration of database statements.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

from django.db import connection
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from apps.common.errors import LunaError
from apps.common.tracing import current_span
from apps.monitoring.answered import METHODS
from apps.monitoring.config import Tracing

logger = logging.getLogger(__name__)

MAX_PENDING = 4096  # spans: about 8 MB
BATCH = 512
PERIOD_MS = 1000
TIMEOUT_S = 3.0  # of an export with its retries, and of the last one when the process ends
OTHER_METHOD = "_OTHER"  # as the semantic conventions name methods that HTTP does not define
SERVER_ERROR = 500
Kind: TypeAlias = Literal["SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
_propagator = TraceContextTextMapPropagator()


class Statements:
    """The number of database statements, and their duration in ms."""

    def __init__(self) -> None:
        self.number, self.ms = 0, 0.0

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.number += 1
            self.ms += (time.perf_counter() - started) * 1e3


class Span:
    """A span and what may become of it: the current one of a thread, the parent of stages, the end."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer, self._span = tracer, span

    @property
    def traceparent(self) -> str:
        """The header `traceparent` for those who continue the trace."""
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, trace.set_span_in_context(self._span, Context()))
        return carrier["traceparent"]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make this the current span of the thread, and count the thread's database statements."""
        statements = Statements()
        try:
            with connection.execute_wrapper(statements), self.current():
                yield
        finally:
            self._span.set_attributes({
                "luna.database.statements": statements.number, "luna.database.ms": round(statements.ms, 3)
            })  # fmt: skip

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Make this the current span as `running` does, and end it."""
        with self._ending(), self.running():
            yield

    @contextmanager
    def timed(self) -> Iterator["Span"]:
        """Make this the current span of the thread, without a count of statements, and end it."""
        with self._ending(), self.current():
            yield self

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Make a child the current span, and end it."""
        parent = trace.set_span_in_context(self._span, Context())
        child = Span(self._tracer, self._tracer.start_span(name, parent))
        with child.timed():
            yield

    def answered(self, *, method: str, route: str, status: int, error_code: int | None, request_id: str) -> None:
        """End the span of a request. `route`: with placeholders."""
        method = method if method in METHODS else OTHER_METHOD
        self._span.update_name(f"{method} {route}")
        self._span.set_attributes({
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "luna.request_id": request_id,
        })  # fmt: skip
        if error_code is not None:
            self._span.set_attribute("luna.error_code", error_code)
        if status >= SERVER_ERROR:
            self.fail(str(status))
        self._span.end()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this the current span of the thread or the asyncio task. It does not end."""
        before = current_span.get()
        current_span.set(self)
        try:
            yield
        finally:
            current_span.set(before)  # a token could not be reset where a generator ends in another thread

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """End the span. An exception is recorded by its name alone: messages may contain texts of clients."""
        try:
            yield
        except BaseException as error:
            if not isinstance(error, LunaError) or error.status >= SERVER_ERROR:
                self.fail(type(error).__name__)
            raise
        finally:
            self._span.end()

    def note(self, name: str, value: int) -> None:
        """Set an attribute."""
        self._span.set_attribute(name, value)

    def fail(self, kind: str) -> None:
        """Mark the span as failed, and set `error.type`."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.StatusCode.ERROR)


class Sending(SpanExporter):
    """Exports batches, counts them, and logs the beginning and the end of an outage. A batch that fails is dropped."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exported, self.dropped = 0, 0  # spans
        self.is_failing, self.is_closing = False, False
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch, in the thread of the processor."""
        given_up = self.is_closing and self.is_failing
        result = SpanExportResult.FAILURE if given_up else self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            self.dropped += len(spans)
        else:
            self.exported += len(spans)
        if failed != self.is_failing:
            self.is_failing = failed
            if failed:
                logger.warning("The collector of traces does not accept spans; they are dropped")
            else:
                logger.info("The collector of traces accepts spans again")
        return result

    def shutdown(self) -> None:
        """Close the connections."""
        self._exporter.shutdown()


class Tracer:
    """Begins the spans of this process, and exports them in batches from a thread. `ratio`: see `Tracing`."""

    def __init__(self, exporter: SpanExporter, *, service_name: str, ratio: float) -> None:
        self.sending = Sending(exporter)
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource({"service.name": service_name}),
            shutdown_on_exit=False,
        )
        self._processor = BatchSpanProcessor(
            self.sending, max_queue_size=MAX_PENDING, schedule_delay_millis=PERIOD_MS, max_export_batch_size=BATCH
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("luna")

    def begin(
        self, name: str, *, traceparent: str, kind: Kind = "SERVER", attributes: Mapping[str, int] | None = None
    ) -> Span:
        """Begin a span, by default that of a request. A well-formed `traceparent` names its parent."""
        parent = _propagator.extract({"traceparent": traceparent}, Context())
        return Span(self._tracer, self._tracer.start_span(name, parent, trace.SpanKind[kind], attributes))

    def flush(self) -> None:
        """Export all ended spans now."""
        self._processor.force_flush()

    def close(self) -> None:
        """Export what is left, for about `TIMEOUT_S` at most."""
        self.sending.is_closing = True
        self._provider.shutdown()


def exporter_of(settings: Tracing) -> SpanExporter:
    """Return the exporter of the settings. `Sending` reports outages, so OpenTelemetry's own lines are left out."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return OTLPSpanExporter(
        endpoint=settings.endpoint, headers=settings.header_values, timeout=TIMEOUT_S,
        compression=Compression.Gzip,
    )  # fmt: skip
