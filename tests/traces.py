"""Spans that a test reads instead of a collector."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from apps.common.config import override_config
from apps.monitoring.config import Tracing
from apps.monitoring.spans import Tracer
from apps.monitoring.traces import tracer

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Exported(InMemorySpanExporter):
    """Keeps the spans of the tracer."""

    def spans(self) -> list[Any]:
        """Return the spans in the order of their ends; the types of `ReadableSpan` have None and unions everywhere."""
        tracer().flush()
        return [*self.get_finished_spans()]


@contextmanager
def exporting() -> Iterator[Exported]:
    exporter = Exported()
    tracer.replace(Tracer(exporter, service_name="luna", ratio=1.0))
    with override_config(Tracing, enabled=True):
        yield exporter
        tracer.close()


def ids(span: Any) -> tuple[str, str, str | None]:
    """Return the ids of trace and span, and that of the parent."""
    parent = None if span.parent is None else f"{span.parent.span_id:016x}"
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", parent
