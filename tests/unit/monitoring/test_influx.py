"""Points for InfluxDB 2: what they contain, and that no failure of InfluxDB reaches a request."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from apps.common.config import config, override_config
from apps.monitoring import influx as influx_module
from apps.monitoring.answered import Answered, service_of
from apps.monitoring.config import InfluxMonitoring
from apps.monitoring.influx import Points, lines
from tests.influx import TOKEN, Influx, influx_server, point_of
from tests.ports import free_port
from tests.variables import refusal

REQUEST = "1795727647,8ecc7686-24ee-4c9d-9a58-3d2c5a7e9b11"


@pytest.fixture
def server() -> Iterator[Influx]:
    with influx_server() as state:
        yield state


@pytest.fixture
def buffer(server: Influx, monkeypatch: pytest.MonkeyPatch) -> Iterator[Points]:
    """A buffer that only `flush` empties."""
    monkeypatch.setattr(influx_module, "CLOSE_S", 0.0)
    monkeypatch.setattr(Points, "_run", lambda self: None)
    with override_config(InfluxMonitoring, send_data_for_monitoring=True, token=TOKEN, port=server.port):
        yield Points()


def answered(**changes: Any) -> Answered:
    facts: dict[str, Any] = {"method": "GET", "route": "/6/faces/{face_id}", "status": 200, "duration_s": 0.0125}
    return Answered(**{**facts, "request_id": REQUEST, **changes})


def until(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_true()


def test_series_tags_and_fields_of_the_manual(server: Influx, buffer: Points) -> None:
    account, handler = uuid4(), uuid4()
    events = {"method": "POST", "route": "/6/handlers/{handler_id}/events", "account_id": account}
    buffer.add(answered(**events, handler_id=handler, status=201))
    buffer.add(answered(**events, handler_id=handler, status=404, error_code=22001))
    buffer.add(answered(route="-", status=404, error_code=12013))
    before_ns = time.time_ns()
    buffer.flush()
    generated, failed, error, unknown, _ = server.points
    assert generated.series == failed.series == "requests"
    assert generated.tags == {
        "account_id": str(account), "handler_id": str(handler), "route": "POST:/handlers/{handler_id}/events",
        "service": "luna-api", "status_code": "201",
    }  # fmt: skip
    assert generated.fields == {"execution_time": "0.012500", "request_id": REQUEST}
    assert 0 < before_ns - generated.time_ns - 12_500_000 < 10**9  # the start of the request
    assert error.series == "errors"
    assert error.tags == failed.tags | {"error_code": "22001"}
    assert error.fields == {"request_id": REQUEST}
    assert error.time_ns == failed.time_ns
    assert "handler_id" not in failed.tags  # a client may send any number of unknown ids
    assert unknown.tags == {"account_id": "none", "route": "GET:-", "service": "luna-api", "status_code": "404"}
    assert buffer.status() == {"pending": 0, "written": 3, "dropped": 0, "failing": 0}


def test_texts_of_clients_end_no_line() -> None:
    hostile = answered(method="GET\nx y=1", request_id='a"\n\\', status=500, error_code=10**9)
    for line in lines(10**18, hostile):
        point = point_of(line)
        assert point.tags["route"] == "unknown:/faces/{face_id}"
        assert point.tags.get("error_code") in (None, "unknown")


@pytest.mark.parametrize(
    ("route", "service"),
    [("/6/faces", "luna-api"), ("/4/accounts", "luna-admin"), ("/admin/", "luna-admin"), ("/version", "luna-api"),
     ("/1/settings/{setting_id}", "luna-configurator"), ("/1/buckets/{bucket}", "luna-image-store"),
     ("/1/license", "luna-licenses"), ("/6/ws", "luna-sender"), ("-", "luna-api")],
)  # fmt: skip
def test_services(route: str, service: str) -> None:
    assert service_of(route) == service


def test_away(server: Influx, buffer: Points, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """The batch is kept, the buffer is bounded, the log has one line without the token, and no request waits."""
    monkeypatch.setattr(influx_module, "MAX_PENDING", 100)
    with override_config(InfluxMonitoring, port=free_port()), caplog.at_level(logging.INFO):
        buffer.add(answered())
        buffer.flush()
        with monkeypatch.context() as patched:
            patched.setattr(influx_module, "write", None)  # a request that writes by itself fails
            for _ in range(1000):
                buffer.add(answered())
        buffer.flush()
    assert buffer.status() == {"pending": 101, "written": 0, "dropped": 900, "failing": 1}
    assert len(caplog.messages) == 1
    assert TOKEN not in caplog.text
    buffer.flush()
    assert buffer.status() == {"pending": 0, "written": 101, "dropped": 900, "failing": 0}
    assert len(server.points) == 101


@pytest.mark.parametrize("status", [429, 503])
def test_busy(status: int, server: Influx, buffer: Points) -> None:
    server.status = status
    buffer.add(answered())
    buffer.flush()
    assert buffer.status() == {"pending": 1, "written": 0, "dropped": 0, "failing": 1}
    server.status = 204
    buffer.flush()
    assert buffer.status() == {"pending": 0, "written": 1, "dropped": 0, "failing": 0}


def test_refused_until_the_setting_is_right(server: Influx, buffer: Points, caplog: pytest.LogCaptureFixture) -> None:
    with override_config(InfluxMonitoring, token="another-token"):
        for _ in range(3):
            buffer.add(answered())
        buffer.flush()
    assert buffer.status() == {"pending": 0, "written": 0, "dropped": 3, "failing": 1}
    assert "unauthorized" in caplog.text
    assert "another-token" not in caplog.text
    buffer.add(answered())  # the stored settings have changed
    buffer.flush()
    assert buffer.status() == {"pending": 0, "written": 1, "dropped": 3, "failing": 0}


def test_redirects_are_not_followed(server: Influx, buffer: Points) -> None:
    with influx_server() as other:
        server.status, server.headers = 307, {"Location": f"http://127.0.0.1:{other.port}/api/v2/write"}
        buffer.add(answered())
        buffer.flush()
        assert other.requests == 0
    assert buffer.status()["dropped"] == 1


def test_nothing_is_kept_once_it_is_off(server: Influx, buffer: Points) -> None:
    server.status = 503
    buffer.add(answered())
    buffer.flush()
    with override_config(InfluxMonitoring, send_data_for_monitoring=False):
        buffer.flush()
    assert (buffer.status()["pending"], buffer.status()["dropped"]) == (0, 1)
    assert server.requests == 1


def test_many_points_are_written_in_batches(server: Influx, buffer: Points, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(influx_module, "BATCH", 40)
    for _ in range(100):
        buffer.add(answered())
    buffer.flush()
    assert (server.requests, len(server.points)) == (3, 100)


def test_the_thread_with_a_slow_server(server: Influx, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are written within the period; a server that hangs delays nobody, and the end of the process briefly."""
    monkeypatch.setattr(influx_module, "CLOSE_S", 0.2)
    settings = {"send_data_for_monitoring": True, "token": TOKEN, "port": server.port, "flushing_period": 0.1}
    with override_config(InfluxMonitoring, **settings):
        buffer = Points()
        buffer.add(answered())
        until(lambda: len(server.points) == 1)
        server.gate.clear()
        buffer.add(answered())
        until(lambda: server.requests == 2)
        for _ in range(1000):
            buffer.add(answered())
        buffer.close()
        assert len(server.points) == 1, "the server has not answered"
        assert buffer.status()["written"] == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [("HOST", "http://influx"), ("HOST", "influx/x"), ("HOST", "a@b"), ("PORT", "0"), ("PORT", "x"),
     ("TOKEN", "a token"), ("TOKEN", "a\nb"), ("FLUSHING_PERIOD", "0"), ("USE_SSL", "maybe")],
)  # fmt: skip
def test_wrong_settings(name: str, text: str) -> None:
    message = refusal(InfluxMonitoring, f"LUNA_INFLUX_MONITORING_{name}", text)
    assert name != "TOKEN" or text not in message


def test_the_token_is_shown_nowhere() -> None:
    with override_config(InfluxMonitoring, token=TOKEN):
        shown = f"{config(InfluxMonitoring)!r} {config(InfluxMonitoring).model_dump(mode='json')}"
    assert not re.search(TOKEN, shown)
