"""The span of what this thread does: a request or a stage of a task. `apps.monitoring.traces` sets it."""

from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Protocol

_NONE = nullcontext()


class CurrentSpan(Protocol):
    """A span that has begun. `traceparent`: its id as W3C Trace Context writes it, at most 55 characters."""

    @property
    def traceparent(self) -> str: ...

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Return a context manager in which a child span is the current one."""
        ...


current_span: ContextVar[CurrentSpan | None] = ContextVar("current_span", default=None)


def stage_span(name: str) -> AbstractContextManager[None]:
    """Return a context manager of a child span; without effect while nothing is traced."""
    span = current_span.get()
    return _NONE if span is None else span.stage(name)


def current_traceparent() -> str | None:
    """Return the id of the current span for work that another process continues; None while nothing is traced."""
    span = current_span.get()
    return None if span is None else span.traceparent
