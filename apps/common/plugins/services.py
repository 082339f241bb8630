"""Active event and background plugins of this process: their threads, queues and counters.

A plugin that raises is logged and counted; it never changes an answer. A slow one loses events of its own queue.
"""

import logging
import queue
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from django.core.checks import CheckMessage
from django.urls import URLResolver, include, path

from apps.common.config import ServicePlugins, config
from apps.common.meta import check_meta
from apps.common.plugins.contract import BackgroundPlugin, EventPlugin, Point, SentEvent, ServicePlugin
from apps.common.plugins.loading import PluginKind
from apps.common.process import PerProcess, Status

logger = logging.getLogger(__name__)

MAX_PENDING = 10_000
STOP_S = 5.0
KINDS = {
    service: PluginKind(
        name=service,
        entry_points=f"luna.{service}_plugins",
        base=ServicePlugin,
        variable=f"LUNA_{service.upper()}_ACTIVE_PLUGINS",
        check_id="luna.E011",
    )
    for service in ("handlers", "events", "sender")
}
# The first of these that matches a route names its service. Other routes have no plugins.
ROUTES = (
    ("handlers", re.compile(r"/6/(handlers|verifiers|detector|extractor)\b")),
    ("events", re.compile(r"/6/events\b")),
    ("sender", re.compile(r"/6/ws\b|/1/ws\b")),
)


class Runner:
    """A plugin with its threads. Its methods never raise."""

    def __init__(self, service: str, name: str, plugin: ServicePlugin) -> None:
        self.service, self.name, self.plugin = service, name, plugin
        self.works = False  # whether the plugin was started; others get no events
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._started = False
        self._stopped = threading.Event()
        self._pending: queue.Queue[Callable[[], None] | None] = queue.Queue(MAX_PENDING)
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the plugin and its threads, once."""
        with self._lock:
            if not self._started:
                self._started = True
                self.works = self.guarded(self.plugin.start)
                if self.works:
                    self._start_threads()

    def stop(self) -> None:
        """End the threads, each within `STOP_S`, and stop the plugin, if it was started."""
        self._stopped.set()
        with suppress(queue.Full):  # the thread ends when the queue is empty
            self._pending.put_nowait(None)
        for thread in self._threads:
            thread.join(STOP_S)
        if self.works:
            self.guarded(self.plugin.stop)

    def submit(self, work: Callable[[], None]) -> None:
        """Queue an event for the plugin's thread; drop and count it if too many wait."""
        try:
            if self.works:
                self._pending.put_nowait(work)
        except queue.Full:
            self.counts["dropped"] += 1

    def guarded(self, work: Callable[..., Any], *arguments: Any) -> bool:
        """Call the plugin; log and count what it raises. Return whether it succeeded."""
        try:
            work(*arguments)
        except Exception:
            self.counts["failed"] += 1
            logger.exception("Plugin %s of %s failed", self.name, self.service)
            return False
        return True

    def _start_threads(self) -> None:
        tasks: list[Callable[[], object]] = []
        if isinstance(self.plugin, EventPlugin):
            tasks.append(self._handle)
        if isinstance(self.plugin, BackgroundPlugin):
            tasks.append(partial(self.guarded, self.plugin.run, self._stopped))
        for task in tasks:
            thread = threading.Thread(target=task, name=f"plugin-{self.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _handle(self) -> None:
        while (work := self._pending.get()) is not None:
            self.guarded(work)
            self.counts["handled"] += 1
            if self._stopped.is_set() and self._pending.empty():
                return


class Plugins:
    """The active plugins of all services in this process."""

    def __init__(self, runners: Sequence[Runner]) -> None:
        self.runners = tuple(runners)
        self._events: dict[str | None, list[tuple[Runner, EventPlugin]]] = {}
        for each in runners:
            if isinstance(each.plugin, EventPlugin):
                self._events.setdefault(each.service, []).append((each, each.plugin))

    @classmethod
    def loaded(cls) -> "Plugins":
        return cls(
            [
                Runner(service, name, plugin)
                for service, kind in KINDS.items()
                for name, plugin in kind.load(getattr(config(ServicePlugins), service))
            ]
        )

    def start(self) -> None:
        for each in self.runners:
            each.start()

    def close(self) -> None:
        for each in self.runners:
            each.stop()

    def status(self) -> Status:
        """Return the handled, dropped and failed events of each plugin."""
        names = ("handled", "dropped", "failed")
        return {f"{each.name}_{name}": each.counts[name] for each in self.runners for name in names}

    @property
    def fills_meta(self) -> bool:
        """Whether a plugin may fill `meta` of generated events."""
        return any(type(plugin).fill_meta is not EventPlugin.fill_meta for _, plugin in self._of("handlers"))

    @property
    def takes_events(self) -> bool:
        """Whether a plugin receives generated events."""
        return bool(self._of("handlers"))

    def meta_of(self, account_id: UUID, facts: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return `meta` as the plugins of handlers fill it one after the other; None if none changes it.

        A plugin that fails, or returns what is no `meta` (`check_meta`), changes nothing.
        """
        filled: dict[str, Any] | None = None

        def fill(plugin: EventPlugin) -> None:
            nonlocal filled
            meta = plugin.fill_meta(account_id, dict(facts) if filled is None else {**facts, "meta": filled})
            if meta is not None:
                check_meta(meta)
                filled = orjson.loads(orjson.dumps(meta))

        for runner, plugin in self._of("handlers"):
            if runner.works:
                runner.guarded(fill, plugin)
        return filled

    def event_sent(self, event: SentEvent) -> None:
        """Pass a generated event to the plugins of handlers. Never blocks."""
        for runner, plugin in self._of("handlers"):
            runner.submit(partial(plugin.on_event, event))

    def answered(self, point: Point) -> None:
        """Pass a monitoring event to the plugins of its service. Never blocks."""
        if self._events:
            service = next((service for service, pattern in ROUTES if pattern.match(point.route)), None)
            for runner, plugin in self._of(service):
                runner.submit(partial(plugin.on_point, point))

    def _of(self, service: str | None) -> Sequence[tuple[Runner, EventPlugin]]:
        """Return the event plugins of a service, started: worker processes start them with their first event."""
        found = self._events.get(service, [])
        for runner, _ in found:
            runner.start()
        return found

    def urls(self) -> list[URLResolver]:
        """Return the routes of the background plugins, each below the plugin's name."""
        found: list[URLResolver] = []
        for each in self.runners:
            if isinstance(plugin := each.plugin, BackgroundPlugin):
                each.guarded(_mount, found, each.name, plugin)
        return found


def _mount(into: list[URLResolver], name: str, plugin: BackgroundPlugin) -> None:
    if patterns := list(plugin.urls()):
        into.append(path(f"{name}/", include((patterns, name))))


plugins = PerProcess("plugins", Plugins.loaded, close=Plugins.close, status=Plugins.status)


def plugins_check(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Report active plugins that do not exist."""
    return [
        problem for service, kind in KINDS.items() for problem in kind.check(getattr(config(ServicePlugins), service))
    ]
