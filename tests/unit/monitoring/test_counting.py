"""Monthly numbers of requests and estimations: counted per process, added in the database."""

import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.common.config import config, override_config
from apps.monitoring import counting
from apps.monitoring.answered import Answered
from apps.monitoring.config import UsageStatistics
from apps.monitoring.counting import Counts, count_estimations, counts
from apps.monitoring.models import RouteCount
from apps.monitoring.observers import is_observed, observe
from apps.monitoring.usage import usage

NOVEMBER, DECEMBER = datetime(2026, 11, 30, 23, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


def answered(status: int = 200, error_code: int | None = None, route: str = "/6/lists") -> Answered:
    return Answered(method="GET", route=route, status=status, duration_s=0.01, error_code=error_code)


def at(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "utc_now", lambda: moment)


@pytest.mark.django_db
def test_statistics_of_the_manual(monkeypatch: pytest.MonkeyPatch) -> None:
    at(NOVEMBER, monkeypatch)
    first, second = Counts(), Counts()  # of two processes
    for each in first, second, first:
        each.request(answered())
        each.request(answered(404, 12013))
        each.request(answered(404))
        each.request(answered(500, 10**9))
        each.estimations({"estimate_emotions": 2})
    first.request(answered(route="/4/accounts"))
    for each in first, second, first:
        each.store()
    at(DECEMBER, monkeypatch)
    first.request(answered())
    first.estimations({"estimate_emotions": 1, "estimate_mask": 3})
    first.store()
    found = usage()
    assert found["estimators_stats"] == [
        {"name": "estimate_emotions", "count": 1, "month": "2026-12"},
        {"name": "estimate_mask", "count": 3, "month": "2026-12"},
        {"name": "estimate_emotions", "count": 6, "month": "2026-11"},
    ]
    december, accounts, november = found["routes_stats"]
    assert december == {
        "service": "luna-api", "route": "GET:/lists", "month": "2026-12", "errors": [],
        "request_stats": [{"count": 1, "status_code": "200"}],
    }  # fmt: skip
    assert (accounts["service"], accounts["route"], accounts["month"]) == ("luna-admin", "GET:/accounts", "2026-11")
    assert november["request_stats"] == [
        {"count": 3, "status_code": "200"}, {"count": 6, "status_code": "404"}, {"count": 3, "status_code": "500"},
    ]  # fmt: skip
    assert november["errors"] == [{"count": 3, "error_code": "12013"}, {"count": 6, "error_code": "unknown"}]


@pytest.mark.django_db
def test_a_failure_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: Any) -> None:
        raise OperationalError("away")

    own = Counts()
    own.request(answered())
    with monkeypatch.context() as patch:
        patch.setattr(counting, "_add", away)
        with pytest.raises(OperationalError):
            own.store()
    own.request(answered())
    assert own.status() == {"requests_not_stored": 2}
    own.store()
    assert own.status() == {"requests_not_stored": 0}
    assert RouteCount.objects.get().count == 2


@pytest.mark.django_db(transaction=True)
def test_processes_that_store_at_once_lose_no_count() -> None:
    """Each has the same routes, in another order."""
    routes = [f"/6/{number}" for number in range(30)]

    def work(number: int) -> None:
        own = Counts()
        for route in routes if number % 2 else reversed(routes):
            own.request(answered(route=route))
        own.store()
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert Counter(RouteCount.objects.values_list("count", flat=True)) == {8: 30}


KILLED = """
import os, signal, time
from luna.settings import DATABASES
DATABASES["default"]["NAME"] = {name!r}
import django; django.setup()
from apps.monitoring import counting
counting.INTERVAL_S = 0.2
from apps.monitoring.answered import Answered
counting.counts().start()
for status in (200, 201):
    counting.counts().request(Answered(method="GET", route="/6/lists", status=status, duration_s=0))
    if status == 200:
        time.sleep(1.5)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.django_db(transaction=True)
def test_a_killed_process_loses_the_last_interval_only() -> None:
    code = KILLED.format(name=connection.settings_dict["NAME"])
    process = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert process.returncode == -9, process.stderr
    assert dict(RouteCount.objects.values_list("status_code", "count")) == {200: 1}


@pytest.mark.django_db(transaction=True)
def test_a_process_that_is_stopped_loses_nothing() -> None:
    own = Counts()
    own.start()
    own.request(answered())
    own.close()
    assert RouteCount.objects.get().count == 1


def test_it_can_be_off_and_costs_little() -> None:
    with override_config(UsageStatistics, enabled=False):
        before = counts().status()
        assert not is_observed()
        observe(answered())
        count_estimations({"estimate_mask": 1})
        assert counts().status() == before
    own, one = Counts(), answered()
    started = time.thread_time()
    for _ in range(10_000):
        own.request(one)
    assert time.thread_time() - started < 10  # 5 µs a request were measured on a busy machine; a query takes 1 ms
    assert own.status() == {"requests_not_stored": 10_000}
    assert config(UsageStatistics).enabled
