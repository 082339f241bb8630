"""The threads of a worker: wake-ups, retries, several workers, a stop."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.db import DataError, connections

from apps.accounts.models import Account
from apps.sender.config import Callbacks
from apps.sender.delivery import deliverer as module
from apps.sender.delivery.deliverer import Deliverer
from apps.sender.delivery.wakeup import CHANNEL
from apps.sender.models import Callback
from apps.sender.outbox import NewCallback, callbacks_create
from apps.sender.targets import TransientError
from tests.factories import make_account, make_callback
from tests.unit.sender.targets import Noted, delivered, errors

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account(transactional_db: None) -> Account:
    return make_account()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Deliverer]]:
    workers: list[Deliverer] = []

    def started() -> Deliverer:
        workers.append(Deliverer())
        return workers[-1]

    yield started
    for worker in workers:
        worker.close()
        worker._thread.join(10)


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.005)


def count() -> int:
    return Callback.objects.unscoped().count()


def test_a_committed_callback_is_delivered_at_once(
    account: Account, start: Callable[[], Deliverer], monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    """By the wake-up: the worker does not poll."""
    monkeypatch.setattr(module, "POLL_S", 60.0)
    worker = start()
    wait_for(lambda: not worker._woken)
    wait_for(lambda: redis_client.pubsub_numsub(CHANNEL)[0][1])
    for _ in range(5):
        delivered.clear()
        make_callback(account, Noted(name="a"))
        wait_for(lambda: delivered)
        wait_for(lambda: not count())


def test_two_workers_deliver_everything_once_and_retry_what_fails(
    account: Account, start: Callable[[], Deliverer], configure: Callable[..., None]
) -> None:
    configure(Callbacks, retry_first=0.05)
    errors["b"] = TransientError("HTTP 500")
    new = [NewCallback(target=Noted(name=name), payload="{}") for name in "aab" * 20]
    callbacks_create(account_id=account.pk, callbacks=new)
    workers = [start(), start()]
    wait_for(lambda: count() == 20)
    assert set(Counter(callback_id for name, callback_id, _ in delivered if name == "a").values()) == {1}
    errors.clear()
    for worker in workers:  # the breakers' pauses are over
        for breaker in worker.courier._breakers.values():
            breaker._closed_until = 0.0
    wait_for(lambda: not count())
    assert {callback_id for _, callback_id, _ in delivered} == {each.callback_id for each in new}


def test_a_hanging_target_delays_no_other(
    account: Account, start: Callable[[], Deliverer], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    deliver = Noted.deliver

    def hanging(self: Noted, *arguments: Any) -> None:
        if self.name == "hangs":
            release.wait(30)
        deliver(self, *arguments)

    monkeypatch.setattr(Noted, "deliver", hanging)
    new = [NewCallback(target=Noted(name=name), payload="{}") for name in ["hangs"] * 50 + ["fine"] * 50]
    callbacks_create(account_id=account.pk, callbacks=new)
    worker = start()
    wait_for(lambda: len(delivered) == 50)
    assert {name for name, _, _ in delivered} == {"fine"}
    assert worker.status()["running"] == 8
    release.set()
    wait_for(lambda: not count())


def test_a_database_that_is_away_loses_no_result(
    account: Account, start: Callable[[], Deliverer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.01)
    failures = iter([OSError("away")] * 3)
    worker = start()
    settle = worker.courier.settle

    def failing(attempts: Any) -> None:
        if (error := next(failures, None)) is not None:
            raise error
        settle(attempts)

    monkeypatch.setattr(worker.courier, "settle", failing)
    make_callback(account, Noted(name="a"))
    wait_for(lambda: not count())
    assert len(delivered) == 1


def test_a_result_that_the_database_rejects_stops_no_other(
    account: Account, start: Callable[[], Deliverer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker = start()
    settle = worker.courier.settle

    def failing(attempts: Any) -> None:
        if any(each.claimed.target["name"] == "odd" for each in attempts):
            raise DataError("cannot dump")
        settle(attempts)

    monkeypatch.setattr(worker.courier, "settle", failing)
    make_callback(account, Noted(name="odd"))
    wait_for(lambda: "cannot be stored" in caplog.text)
    make_callback(account, Noted(name="a"))
    wait_for(lambda: count() == 1)


def test_a_stop_waits_for_running_attempts(
    account: Account, start: Callable[[], Deliverer], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    deliver = Noted.deliver

    def slow(self: Noted, *arguments: Any) -> None:
        begun.set()
        time.sleep(0.2)
        deliver(self, *arguments)

    monkeypatch.setattr(Noted, "deliver", slow)
    make_callback(account, Noted(name="a"))
    worker = start()
    assert begun.wait(10)
    worker.close()
    worker._thread.join(10)
    assert count() == 0
    make_callback(account, Noted(name="a"))
    time.sleep(0.1)
    assert count() == 1
    connections.close_all()
