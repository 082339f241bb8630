"""`GET /metrics`: who may read it, what it counts, and the dashboards and alert rules that use it."""

import http.client
import inspect
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from django.db import OperationalError
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from apps.common import process
from apps.common.config import config, override_config
from apps.monitoring.answered import METHODS, path_label
from apps.monitoring.config import ServiceMetrics
from apps.monitoring.metrics import statuses
from apps.monitoring.metrics.requests import BUCKETS
from apps.monitoring.metrics.sources import UP, Source, Sources, sources
from apps.monitoring.metrics.statuses import AGE, ROWS
from apps.monitoring.processes import ProcessStatus, publish
from apps.sender.models import Callback
from apps.tasks.choices import TaskKind, TaskStatus
from apps.tasks.models import Subtask, Task
from luna.http import access
from luna.http.access import write_access
from tests.api.helpers import refused
from tests.factories import make_account
from tests.platform import platform
from tests.variables import refusal

pytestmark = pytest.mark.django_db
TOKEN = "a-token-of-prometheus"
DEPLOY = Path(__file__).resolve().parents[3] / "deploy" / "monitoring"
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def enabled() -> Iterator[None]:
    sources.forget()
    with override_config(ServiceMetrics, enabled=True):
        yield
    sources.forget()


def scraped(**headers: Any) -> Values:
    answer = Client().get("/metrics", **headers)
    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def value(values: Values, name: str, **labels: str) -> float:
    return values.get((name, frozenset(labels.items())), 0.0)


def count(method: str, route: str, status: int, *, seconds: float = 0.0, error_code: int | None = None) -> None:
    notes = {access.ROUTE: route, access.ERROR_CODE: error_code}
    write_access(method=method, path="/", status=status, started_s=time.perf_counter() - seconds, notes=notes)


def test_it_is_off() -> None:
    refused(Client().get("/metrics"), 403, 12049)


@pytest.mark.usefixtures("enabled")
class TestReaders:
    def test_this_machine_alone_without_a_token(self) -> None:
        assert Client().get("/metrics").status_code == 200
        assert Client().get("/metrics", REMOTE_ADDR="::1").status_code == 200
        extras: list[dict[str, Any]] = [
            {"REMOTE_ADDR": "10.0.0.7"}, {"REMOTE_ADDR": ""}, {"HTTP_X_FORWARDED_FOR": "10.0.0.7"},
            {"HTTP_FORWARDED": "for=10.0.0.7"}, {"HTTP_X_REAL_IP": "127.0.0.1"},
        ]  # fmt: skip
        for extra in extras:
            refused(Client().get("/metrics", **extra), 403, 12033)

    def test_the_token_alone_with_one(self) -> None:
        with override_config(ServiceMetrics, token=TOKEN):
            for wrong in ("", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer ü"):
                refused(Client().get("/metrics", HTTP_AUTHORIZATION=wrong), 403, 12033)
            sent: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "REMOTE_ADDR": "10.0.0.7"}
            assert Client().get("/metrics", **sent).status_code == 200
            assert TOKEN not in Client().get("/metrics", **sent).content.decode()

    def test_prometheus_is_understood(self) -> None:
        accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        assert scraped(HTTP_ACCEPT=accept)
        assert scraped(HTTP_ACCEPT="text/plain")


@pytest.mark.parametrize(
    ("name", "text"),
    [("TOKEN", "short"), ("EXTRA_LABELS", "path=x"), ("EXTRA_LABELS", "le=x"), ("EXTRA_LABELS", "a-b=x"),
     ("EXTRA_LABELS", "__name__=x"), ("EXTRA_LABELS", "alone"), ("METRICS_FORMAT", "influx")],
)  # fmt: skip
def test_wrong_settings(name: str, text: str) -> None:
    refusal(ServiceMetrics, f"LUNA_SERVICE_METRICS_{name}", text)


@pytest.mark.usefixtures("enabled")
class TestRequests:
    def test_names_labels_and_buckets_of_the_manual(self) -> None:
        before = scraped()
        count("POST", "/6/handlers", 401, error_code=12010)
        count("GET", "/6/faces/{face_id}", 200, seconds=0.06)
        after = scraped()

        def new(name: str, **labels: str) -> float:
            return value(after, name, **labels) - value(before, name, **labels)

        assert new("request_count_total", path="POST:/handlers", status_code="401") == 1
        assert new("request_errors_total", path="POST:/handlers", error_code="12010") == 1
        face = {"route": "GET:/faces/{face_id}", "status_code": "200"}
        assert new("request_count_total", path=face["route"], status_code="200") == 1
        found = {
            dict(labels)["le"]: number - value(before, name, **dict(labels))
            for (name, labels), number in after.items()
            if name == "requests_bucket" and labels >= face.items()
        }
        assert found == {str(each): float(each >= 0.075) for each in BUCKETS} | {"+Inf": 1.0}
        assert 0.06 <= new("requests_sum", **face) < 0.075
        assert new("requests_count", **face) == 1

    def test_other_processes_are_added(self) -> None:
        labels = {"path": "GET:/lists", "status_code": "200"}
        before = value(scraped(), "request_count_total", **labels)
        code = (
            "import luna.web\n"  # imports prometheus_client before the settings name the directory
            "import django; django.setup()\n"
            "from apps.monitoring.answered import Answered\n"
            "from apps.monitoring.metrics.requests import request_metrics\n"
            "for _ in range(3): request_metrics().count("
            "Answered(method='GET', route='/6/lists', status=200, duration_s=0.1))"
        )
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "luna.settings"}
        del environment["PROMETHEUS_MULTIPROC_DIR"]
        command = [sys.executable, "-c", code]
        subprocess.run(command, env=environment, check=True, timeout=60)  # it has ended when metrics are read
        count("GET", "/6/lists", 200)
        assert value(scraped(), "request_count_total", **labels) - before == 4

    def test_labels_are_bounded(self) -> None:
        """10,000 methods, paths and error codes, as a hostile client might send them."""
        before = set(scraped())
        for number in range(10_000):
            count(f"X{number}", "-", 404, error_code=10**6 + number)
        for number in range(100):
            write_access(method="X", path=f'/"{number}\n', status=404, started_s=0.0)
        added = {labels for name, labels in set(scraped()) - before if name.startswith("request_")}
        assert added <= {
            frozenset({("path", "unknown:-"), ("status_code", "404")}),
            frozenset({("path", "unknown:-"), ("error_code", "unknown")}),
        }
        assert path_label("GET", "/1/buckets/{bucket}") == "GET:/buckets/{bucket}"
        assert {path_label(each, "/metrics") for each in METHODS} == {f"{each}:/metrics" for each in METHODS}

    def test_a_websocket_has_no_duration(self) -> None:
        count("WS", "/6/ws", 101, seconds=5.0)
        values = scraped()
        assert value(values, "request_count_total", path="GET:/ws", status_code="101") >= 1
        assert value(values, "requests_sum", route="GET:/ws", status_code="101") == 0

    def test_nothing_is_counted_while_it_is_off(self) -> None:
        before = scraped()
        with override_config(ServiceMetrics, enabled=False):
            count("GET", "/6/lists", 200)
        assert [each for each in scraped().items() if each[0][0] == "request_count_total" and each not in
                before.items()] == []  # fmt: skip

    def test_extra_labels(self) -> None:
        publish("web")
        count("GET", "/6/lists", 200)
        with override_config(ServiceMetrics, extra_labels=("site=north gate", "rack=7")):
            assert all(("site", "north gate") in labels and ("rack", "7") in labels for _, labels in scraped())


@pytest.mark.usefixtures("enabled")
class TestNumbers:
    def test_processes(self) -> None:
        from apps.monitoring.processes import resources

        resources()
        publish("web")
        values = scraped()
        (name,) = {dict(labels)["process"] for metric, labels in values if metric == AGE}
        assert name.startswith("web ")
        assert value(values, "luna_process_resident_memory_bytes", process=name) > 10 * 2**20
        assert value(values, "luna_process_cpu_seconds_total", process=name) > 0
        assert abs(value(values, "luna_process_start_time_seconds", process=name) - time.time()) < 86_400

    def test_tasks_and_callbacks(self) -> None:
        owner, now = make_account(), datetime.now(UTC)
        times = {"create_time": now, "last_update_time": now}
        for status in (TaskStatus.PENDING, TaskStatus.PENDING, TaskStatus.DONE):
            task = Task.everything.create(account=owner, task_type=TaskKind.LINKER, task_status=status, **times)
        Task.everything.create(account=owner, task_type=4711, task_status=TaskStatus.FAILED, **times)
        Subtask.objects.create(task=task, create_time=now)
        for dead in (None, now, now):
            Callback.everything.create(
                account=owner, kind="http", target={}, place="", server=task.account_id, payload="", size=0,
                create_time=now, due_time=now, expire_time=now + timedelta(1), dead_time=dead,
            )  # fmt: skip
        values = scraped()
        assert value(values, "luna_tasks", task_type="linker", status="pending") == 2
        assert value(values, "luna_tasks", task_type="linker", status="done") == 1
        assert value(values, "luna_tasks", task_type="unknown", status="failed") == 1
        assert value(values, "luna_subtasks", status="pending") == 1
        assert value(values, "luna_callbacks", state="waiting") == 1
        assert value(values, "luna_callbacks", state="dead") == 2
        assert value(values, UP, source="tasks") == value(values, UP, source="callbacks") == 1
        assert str(owner.pk) not in Client().get("/metrics").content.decode()

    def test_a_source_that_fails_hides_no_other(self) -> None:
        def fails() -> Any:
            raise OperationalError("away")

        own = Sources()
        own.register(Source("bad", {"x": ""}, fails), Source("good", {"y": ""}, lambda: {"y": [({}, 3)]}))
        found = {sample: each.value for family in own.families() for each in family.samples
                 for sample in [(each.name, *each.labels.values())]}  # fmt: skip
        assert found == {(UP, "bad"): 0, (UP, "good"): 1, ("y",): 3}

    def test_redis_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def none() -> list[ProcessStatus]:
            return []

        monkeypatch.setattr(statuses, "processes", none)
        count("GET", "/6/lists", 200)
        values = scraped()
        assert value(values, "request_count_total", path="GET:/lists", status_code="200") >= 1
        assert not [name for name, _ in values if name == AGE]


def texts_of_status() -> Callable[[str], str]:
    """Return a function from the name of a per-process object to the source of what makes its status."""
    from apps.matching.engine import cached  # registers, as the following
    from apps.matching.segments import running
    from apps.recognition.engine.batching import Batcher
    from apps.recognition.run import facade
    from apps.sender.delivery import deliverer
    from apps.sender.delivery.courier import Courier
    from apps.tasks.machine import dispatcher
    from luna import asgi
    from luna.http.application import WSGIPool

    imported = (cached, running, facade, deliverer, dispatcher, asgi)
    makers: dict[str, Any] = {each.name: each._status for each in tuple(process._all)}
    more: dict[str, Any] = {
        "callbacks": Courier,
        "recognition engine": Batcher,
        "http": WSGIPool,
    }

    def text(name: str) -> str:
        module = inspect.getmodule(makers[name])
        assert imported
        assert module is not None
        return inspect.getsource(module) + (inspect.getsource(more[name]) if name in more else "")

    return text


def test_rows_name_existing_numbers() -> None:
    text = texts_of_status()
    for row in ROWS:
        key = row.key.removeprefix(f"{row.labels.get('lane')}_")
        assert f'"{key}"' in text(row.source), row
    assert {row.labels["lane"] for row in ROWS if row.labels} == set(statuses.LANES)


def names() -> set[str]:
    """Every name of a metric that can be scraped."""
    found = {"up", "ALERTS", "request_count_total", "request_errors_total", "requests_bucket", "requests_sum",
             "requests_count", AGE, UP}  # fmt: skip
    found |= {row.name for row in ROWS}
    return found | {name for source in sources.registered for name in source.texts}


def used_in(expression: str) -> set[str]:
    bare = re.sub(r'\{[^}]*\}|\[[^\]]*\]|"[^"]*"|\b(?:by|without|on) ?\([^)]*\)', "", expression)
    return {each for each in re.findall(r"\b[a-zA-Z_]\w*\b(?!\s*\()", bare) if each not in {"and", "or", "unless"}}


def test_dashboards_and_alerts_use_existing_metrics() -> None:
    boards = [orjson.loads(path.read_bytes()) for path in sorted((DEPLOY / "grafana").glob("*.json"))]
    expressions = [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]
    rules = [rule for group in yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
    used = set().union(*map(used_in, expressions + [rule["expr"] for rule in rules]))
    assert len(boards) == 2
    assert used <= names()
    assert used_in('sum by (le) (rate(gone_total{a="b"}[5m])) / up > 5') == {"gone_total", "up"}
    assert len({board["uid"] for board in boards}) == len(boards)
    tested = (DEPLOY / "alerts_test.yml").read_text()
    assert all(f'alertname="{rule["alert"]}"' in tested for rule in rules)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_alerts_fire() -> None:
    subprocess.run(["promtool", "test", "rules", "alerts_test.yml"], cwd=DEPLOY, check=True, timeout=60)


def test_the_files_are_in_the_var_directory() -> None:
    from apps.common.config import Directories

    assert Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]).is_relative_to(config(Directories).var)


@pytest.mark.usefixtures("enabled")
def test_requests_of_the_server_are_counted() -> None:
    before = scraped()
    with platform(threads=1) as port:
        for method, path, headers in (
            ("GET", "/version", {}),
            ("GET", "/nowhere", {}),
            ("GET", "/6/faces", {}),
            ("POST", "/6/faces", {"Content-Length": "2000000000"}),
            ("GET", "/metrics", {}),
        ):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
            connection.close()
    assert (answer.status, b'request_count_total{path="GET:/version",status_code="200"}' in text) == (200, True)
    after = scraped()

    def new(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert new("request_count_total", path="GET:/version", status_code="200") == 1
    assert new("request_errors_total", path="GET:-", error_code="12013") == 1
    assert new("request_errors_total", path="GET:/faces", error_code="12010") == 1
    assert new("request_count_total", path="POST:/faces", status_code="413") == 1
    assert not [labels for name, labels in after if name == "request_errors_total" and ("error_code", "unknown") in
                labels and ("path", "POST:/faces") in labels]  # fmt: skip
