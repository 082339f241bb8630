"""Settings of points and statistics of requests."""

from types import SimpleNamespace
from typing import Any

import pytest

from apps.monitoring import influx
from apps.monitoring.influx import Points
from apps.monitoring.observers import is_observed
from tests.unit.live.conftest import Store
from tests.unit.live.table import live

GROUP = "INFLUX_MONITORING"
SERVER = {"use_ssl": True, "host": "points.example", "port": 8087, "organization": "desk", "bucket": "requests"}


@live(*(f"{GROUP}.{name}" for name in ("send_data_for_monitoring", *SERVER)))
def test_points_of_requests(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses: list[str] = []

    def send(method: str, url: str, **_: Any) -> Any:
        addresses.append(url)
        return SimpleNamespace(status=204)

    monkeypatch.setattr(influx, "send", send)
    monkeypatch.setattr(influx, "lines", lambda start_ns, answered: ["a point"])
    monkeypatch.setattr(Points, "_run", lambda self: None)
    points, answered = Points(), SimpleNamespace(duration_s=0.1)
    for values in ({}, SERVER):
        store(GROUP, send_data_for_monitoring=True, **values)
        points.add(answered)  # type: ignore[arg-type]
        points.flush()
    store(GROUP, send_data_for_monitoring=False)
    points.add(answered)  # type: ignore[arg-type]
    points.flush()
    first, second = addresses
    assert first.startswith("http://127.0.0.1:8086/api/v2/write?org=luna&bucket=luna_monitoring")
    assert second.startswith("https://points.example:8087/api/v2/write?org=desk&bucket=requests")


@live("LUNA_USAGE_STATISTICS.enabled")
def test_statistics_of_requests(store: Store, db: None) -> None:
    assert is_observed()
    store("LUNA_USAGE_STATISTICS", enabled=False)
    assert not is_observed()


@live(f"{GROUP}.flushing_period")
def test_time_between_two_transfers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    points = object.__new__(Points)
    points._failures = 0
    points._stop = SimpleNamespace(wait=lambda seconds: waits.append(seconds) or True)  # type: ignore[assignment]
    monkeypatch.setattr(Points, "_flush_safely", lambda self: None)
    points._run()
    store(GROUP, flushing_period=7.0)
    points._run()
    assert waits == [1.0, 7.0]
