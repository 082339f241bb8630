"""Contract of event and background plugins, described for their authors in `docs/plugins.md`."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import URLPattern

CONTRACT = 1  # version of the contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A monitoring event: an answered request of the plugin's service.

    `route`: with placeholders, such as `/6/handlers/{handler_id}/events`. `account_id`: None without credentials.
    """

    time: datetime
    method: str
    route: str
    status: int
    duration_ms: float
    account_id: UUID | None
    request_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEvent:
    """A sending event: a generated event after its commit. `message`: the body of a callback, without request id."""

    account_id: UUID
    message: Mapping[str, Any]


class ServicePlugin:
    """The base of event and background plugins. Every web process has its own object; a method may do nothing."""

    def start(self) -> None:
        """Acquire resources. Called once, before the first request."""

    def stop(self) -> None:
        """Release resources. Called once, when the process ends."""


class EventPlugin(ServicePlugin):
    """Receives events of its service. `on_point` and `on_event` are called in one thread of the plugin, in order."""

    def fill_meta(self, account_id: UUID, facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the new `meta` of an event before it is stored; None leaves it.

        Called in the thread of the request, which waits. `facts`: columns of the event by name, `meta` among them.
        """
        return None

    def on_event(self, event: SentEvent) -> None:
        """Handle a generated event."""

    def on_point(self, point: Point) -> None:
        """Handle a monitoring event."""


class BackgroundPlugin(ServicePlugin):
    """Works in a thread of its own, and may serve routes."""

    def run(self, stopped: threading.Event) -> None:
        """Work until `stopped` is set. Called once, after `start`."""

    def urls(self) -> Sequence[URLPattern]:
        """Return Django's patterns, mounted below `/6/plugins/<name>/`."""
        return ()
