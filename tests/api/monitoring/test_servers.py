"""A real Prometheus scrapes the platform, and real servers store its points. Debian packages all of them."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from apps.accounts.models import Account
from apps.common.config import override_config
from apps.monitoring.answered import Answered
from apps.monitoring.config import InfluxMonitoring, ServiceMetrics
from apps.monitoring.influx import Points, points
from tests.influx import TOKEN, influx_server
from tests.platform import Caller, platform
from tests.ports import free_port

pytestmark = pytest.mark.django_db(transaction=True)
DEPLOY = Path(__file__).resolve().parents[3] / "deploy" / "monitoring"
INFLUXDB = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{port}"
[monitor]
store-enabled = false
"""


def needs(program: str, package: str) -> Any:
    reason = f"{program} is not installed (Debian: {package})"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield
        finally:
            process.terminate()


def until(found: Callable[[], Any], log: Path) -> Any:
    """Return what `found` returns once it is true."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if result := found():
                return result
        except httpx.TransportError:
            pass  # it starts
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-3000:])


@needs("prometheus", "prometheus")
def test_prometheus_scrapes(tmp_path: Path, owner: Account) -> None:
    web, log = free_port(), tmp_path / "log"
    configuration = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    with override_config(ServiceMetrics, enabled=True), platform(threads=1) as port:
        Caller(port, owner.login).ask("GET", "/6/lists")
        configuration["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
        configuration["rule_files"] = [str(DEPLOY / "alerts.yml")]
        configuration["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        command = ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path}/data",
                   f"--web.listen-address=127.0.0.1:{web}"]  # fmt: skip

        def queried(expression: str) -> list[Any]:
            answer = httpx.get(f"http://127.0.0.1:{web}/api/v1/query", params={"query": expression})
            return answer.json()["data"]["result"]

        with running(command, log):
            assert until(lambda: queried('request_count_total{path="GET:/lists",status_code="200"}'), log)
            assert queried("up")[0]["value"][1] == "1"
            assert queried('requests_bucket{route="GET:/lists",le="+Inf"}')
            groups = httpx.get(f"http://127.0.0.1:{web}/api/v1/rules").json()["data"]["groups"]
            until(lambda: queried('ALERTS{alertname="LunaNoWorker"}'), log)  # pending: the test runs no worker
    assert len(groups[0]["rules"]) == len(yaml.safe_load((DEPLOY / "alerts.yml").read_text())["groups"][0]["rules"])


@needs("influxd", "influxdb")
def test_influxdb_stores_points(tmp_path: Path, owner: Account) -> None:
    """Debian's InfluxDB is of version 1 without `/api/v2/write`, so the test's server passes the lines on."""
    port, log = free_port(), tmp_path / "log"
    (tmp_path / "influxdb.conf").write_text(INFLUXDB.format(folder=tmp_path, port=port, rpc=free_port()))

    def queried(text: str) -> list[dict[str, Any]]:
        answer = httpx.post(f"http://127.0.0.1:{port}/query", data={"q": text, "db": "luna", "epoch": "ns"}).json()
        return [dict(zip(series["columns"], row, strict=True)) for result in answer["results"]
                for series in result.get("series", []) for row in series["values"]]  # fmt: skip

    with running(["influxd", "-config", str(tmp_path / "influxdb.conf")], log), influx_server() as server:
        until(lambda: httpx.post(f"http://127.0.0.1:{port}/query", data={"q": "CREATE DATABASE luna"}), log)
        write = f"http://127.0.0.1:{port}/write?db=luna&precision=ns"
        server.accepts = lambda body: httpx.post(write, content=body).raise_for_status()
        settings = {"send_data_for_monitoring": True, "token": TOKEN, "port": server.port, "flushing_period": 0.1}
        started_ns = time.time_ns()
        with override_config(InfluxMonitoring, **settings), platform(threads=1) as web:
            caller = Caller(web, owner.login)
            caller.ask("GET", "/6/lists")
            caller.ask("GET", "/6/faces/7")
            until(lambda: len(server.points) == 3, log)
            points.close()
        requests = queried("SELECT * FROM requests ORDER BY time")
        errors = queried("SELECT * FROM errors")
    first, second = requests
    assert {name: first[name] for name in ("account_id", "route", "service", "status_code")} == {
        "account_id": str(owner.pk), "route": "GET:/lists", "service": "luna-api", "status_code": "200",
    }  # fmt: skip
    assert started_ns < first["time"] < second["time"] < time.time_ns()
    assert 0 < first["execution_time"] < 60
    assert len(first["request_id"]) == 47
    assert [(each["route"], each["error_code"]) for each in errors] == [(second["route"], "22002")]


@needs("victoria-metrics", "victoria-metrics")
def test_a_server_of_the_api_of_influxdb_2_stores_points(tmp_path: Path) -> None:
    """VictoriaMetrics has `/api/v2/write`; it stores a text as 0, so the test above compares fields."""
    port, log = free_port(), tmp_path / "log"
    address = f"http://127.0.0.1:{port}"
    command = ["victoria-metrics", f"-storageDataPath={tmp_path}/data", f"-httpListenAddr=127.0.0.1:{port}"]
    tags = {"account_id": "none", "route": "GET:/faces/{face_id}", "service": "luna-api", "status_code": "404"}

    def stored() -> list[dict[str, Any]]:
        httpx.get(f"{address}/internal/force_flush")
        found = httpx.get(f"{address}/api/v1/export", params={"match[]": '{service="luna-api"}'}).text
        return sorted(map(json.loads, found.splitlines()), key=lambda each: str(each["metric"]["__name__"]))

    settings = {"send_data_for_monitoring": True, "port": port, "flushing_period": 3600}
    with running(command, log), override_config(InfluxMonitoring, **settings):
        until(lambda: httpx.get(f"{address}/health").is_success, log)
        buffer = Points()
        buffer.add(Answered(method="GET", route="/6/faces/{face_id}", status=404, duration_s=0.25, error_code=22002))
        buffer.flush()
        error, duration, _ = until(stored, log)
        buffer.close()
    assert buffer.status() == {"pending": 0, "written": 1, "dropped": 0, "failing": 0}
    assert error["metric"] == tags | {"__name__": "errors_request_id", "error_code": "22002"}
    assert duration["metric"] == tags | {"__name__": "requests_execution_time"}
    assert duration["values"] == [0.25]
    assert 0 <= time.time() - duration["timestamps"][0] / 1e3 - 0.25 < 3600  # in ms
