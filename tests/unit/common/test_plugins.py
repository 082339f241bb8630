"""Event and background plugins: discovery, threads, faults, and the templates of the documentation."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.urls import URLPattern, path

from apps.common.config import Directories, ServicePlugins
from apps.common.plugins import services
from apps.common.plugins.contract import BackgroundPlugin, EventPlugin, Point, SentEvent, ServicePlugin
from apps.common.plugins.services import Plugins, Runner, plugins_check
from apps.common.times import utc_now
from luna.embedded.addresses import CHECKOUT

ACCOUNT = uuid4()
FACTS = {"source": "camera-1", "meta": {"a": 1}}


class Noting(EventPlugin, BackgroundPlugin):
    """Notes what it gets."""

    def __init__(self, meta: Any = None, error: Exception | None = None) -> None:
        self.meta, self.error = meta, error
        self.seen: list[Any] = []
        self.running = threading.Event()

    def _note(self, what: Any) -> None:
        self.seen.append(what)
        if self.error:
            raise self.error

    def start(self) -> None:
        self.seen.append("start")

    def stop(self) -> None:
        self.seen.append("stop")

    def fill_meta(self, account_id: UUID, facts: Mapping[str, Any]) -> Any:
        self._note(dict(facts["meta"]))
        return self.meta

    def on_event(self, event: SentEvent) -> None:
        self._note(event)

    def on_point(self, point: Point) -> None:
        self._note(point.route)

    def run(self, stopped: threading.Event) -> None:
        self.running.set()
        stopped.wait(20)
        self.seen.append("ran")


def active(*added: ServicePlugin, service: str = "handlers") -> Plugins:
    return Plugins([Runner(service, f"plugin_{number}", each) for number, each in enumerate(added)])


def point(route: str) -> Point:
    return Point(time=utc_now(), method="GET", route=route, status=200, duration_ms=1, account_id=None, request_id=None)


@pytest.fixture
def directory(tmp_path: Path, configure: Callable[..., None]) -> Path:
    configure(Directories, var=tmp_path)
    found = tmp_path / "plugins" / "handlers"
    found.mkdir(parents=True)
    return found


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def is_long(seen: list[Any], length: int) -> bool:
    return len(seen) == length


def test_a_plugin_works_from_its_start_to_its_stop() -> None:
    plugin = Noting()
    plugins = active(plugin)
    plugins.start()
    plugins.start()
    assert plugin.running.wait(20)
    sent = SentEvent(account_id=ACCOUNT, message={"event": {}})
    plugins.event_sent(sent)
    plugins.answered(point("/6/handlers/{handler_id}/events"))
    wait_for(lambda: len(plugin.seen) == 3)
    plugins.close()
    assert plugin.seen == ["start", sent, "/6/handlers/{handler_id}/events", "ran", "stop"]
    assert plugins.status() == {"plugin_0_handled": 2, "plugin_0_dropped": 0, "plugin_0_failed": 0}


def test_services_get_their_own_points() -> None:
    of_service = {service: Noting() for service in ("handlers", "events", "sender")}
    plugins = Plugins([Runner(service, service, plugin) for service, plugin in of_service.items()])
    for route in ("/6/verifiers", "/6/events/{event_id}", "/6/ws", "/6/faces", "-"):
        plugins.answered(point(route))
    plugins.event_sent(SentEvent(account_id=ACCOUNT, message={}))
    wait_for(lambda: [len(each.seen) for each in of_service.values()] == [3, 2, 2])
    plugins.close()
    assert [each.seen[1] for each in of_service.values()] == ["/6/verifiers", "/6/events/{event_id}", "/6/ws"]


def test_plugins_fill_meta_one_after_the_other() -> None:
    first, second, third = Noting({"a": 2}), Noting(), Noting({"b": [1.5, "ж"]})
    plugins = active(first, second, third)
    assert plugins.fills_meta
    assert plugins.meta_of(ACCOUNT, FACTS) == {"b": [1.5, "ж"]}
    assert [each.seen[1] for each in (first, second, third)] == [{"a": 1}, {"a": 2}, {"a": 2}]
    assert active(Noting()).meta_of(ACCOUNT, FACTS) is None
    assert not active().fills_meta
    assert not active(EventPlugin()).fills_meta
    plugins.close()


@pytest.mark.parametrize(
    "meta", [[], "text", {"a b": 1}, {"a": "\0"}, {"a": float("nan")}, {"a": "x" * 2**21}, {1: 2}, {"a": object()}]
)
def test_what_is_no_meta_changes_nothing(meta: Any, caplog: pytest.LogCaptureFixture) -> None:
    plugins = active(Noting(meta), Noting({"b": 1}))
    assert plugins.meta_of(ACCOUNT, FACTS) == {"b": 1}
    assert plugins.status()["plugin_0_failed"] == 1
    assert "Plugin plugin_0 of handlers failed" in caplog.text
    plugins.close()


def test_a_plugin_that_raises_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    plugins = active(Noting(error=ZeroDivisionError("a fault")))
    assert plugins.meta_of(ACCOUNT, FACTS) is None
    plugins.event_sent(SentEvent(account_id=ACCOUNT, message={}))
    plugins.answered(point("/6/detector"))
    wait_for(lambda: plugins.status()["plugin_0_failed"] == 3)
    assert "a fault" in caplog.text
    plugins.close()


def test_a_plugin_that_cannot_start_gets_nothing() -> None:
    class Broken(Noting):
        def start(self) -> None:
            raise OSError("no connection")

    plugin = Broken({"a": 2})
    plugins = active(plugin)
    plugins.start()
    assert plugins.meta_of(ACCOUNT, FACTS) is None
    plugins.event_sent(SentEvent(account_id=ACCOUNT, message={}))
    plugins.close()
    assert plugin.seen == []


def test_a_slow_plugin_loses_its_own_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_PENDING", 2)
    release = threading.Event()

    class Slow(EventPlugin):
        def on_event(self, event: SentEvent) -> None:
            release.wait(20)

    fast = Noting()
    plugins = active(Slow(), fast)
    for number in range(5):
        plugins.event_sent(SentEvent(account_id=ACCOUNT, message={}))
        wait_for(partial(is_long, fast.seen, number + 2))
    slow, other = plugins.runners
    assert slow.counts["dropped"] >= 2
    assert other.counts["dropped"] == 0
    release.set()
    plugins.close()


def test_routes_are_below_the_name_of_their_plugin() -> None:
    class Routes(BackgroundPlugin):
        def urls(self) -> list[URLPattern]:
            return [path("a", lambda request: None, name="a")]  # type: ignore[arg-type, return-value]

    class Broken(BackgroundPlugin):
        def urls(self) -> list[URLPattern]:
            raise ZeroDivisionError

    (found,) = active(Routes(), Broken(), BackgroundPlugin(), EventPlugin()).urls()
    assert str(found.pattern) == "plugin_0/"
    assert found.resolve("plugin_0/a").url_name == "a"


def test_files_are_loaded_by_name_and_faults_are_skipped(
    directory: Path, configure: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("event", "background"):
        shutil.copy(CHECKOUT / "docs" / f"{name}_plugin_template.py", directory / f"{name}.py")
    (directory / "damaged.py").write_text("raise ValueError('damaged')")
    (directory / "not_named.py").write_text("raise SystemExit")
    configure(ServicePlugins, handlers=("event", "background", "damaged", "absent"))
    plugins = Plugins.loaded()
    assert [each.name for each in plugins.runners] == ["event", "background"]
    assert "Plugin damaged of LUNA_HANDLERS_ACTIVE_PLUGINS cannot be loaded" in caplog.text
    (problem,) = plugins_check(None)
    assert "absent" in problem.msg
    assert plugins.meta_of(ACCOUNT, FACTS) == {"a": 1, "door": "main entrance"}
    assert plugins.meta_of(ACCOUNT, {"source": None, "meta": None}) is None
    plugins.answered(point("/6/detector"))
    load: Any = plugins.runners[1].plugin
    wait_for(lambda: load.current["/6/detector"] == 1)
    load.close_batch()
    assert load.last == {"/6/detector": 1}
    plugins.close()
