"""Settings of websockets and callbacks."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from apps.accounts.models import Account
from apps.common.errors import LunaError
from apps.common.secrets import Secret
from apps.common.times import utc_now
from apps.sender import consumers, hub
from apps.sender.delivery import courier
from apps.sender.delivery.courier import Courier
from apps.sender.delivery.queue import expire_and_clean
from apps.sender.frames import Message
from apps.sender.hub import Subscription
from apps.sender.models import Callback
from apps.sender.outbox import quota
from apps.sender.resuming import missed_events
from apps.sender.targets import TARGETS, telegram
from apps.sender.targets.telegram import TelegramChat
from tests.factories import make_callback, make_event
from tests.unit.live.conftest import Store
from tests.unit.live.table import live
from tests.unit.sender.targets import Noted


@pytest.fixture(autouse=True)
def noted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(TARGETS, "noted", Noted)
    yield
    quota.close()


def make(owner: Account, name: str, count: int = 1, **values: Any) -> list[Callback]:
    return [make_callback(owner, Noted(name=name), **values) for _ in range(count)]


@pytest.mark.parametrize("name", ["queue_messages", "queue_bytes"])
@live("LUNA_SENDER.queue_messages", "LUNA_SENDER.queue_bytes")
def test_queues_of_websockets(store: Store, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    async def joined(subscription: Subscription) -> None:
        pass

    monkeypatch.setattr(consumers, "license_require", lambda: None)
    monkeypatch.setattr(consumers, "hub", lambda: SimpleNamespace(join=joined))
    handshake: Any = SimpleNamespace(
        check_host=lambda: None,
        check_origin=lambda: None,
        authenticate=lambda: SimpleNamespace(session=None),
        last_event_id=lambda: None,
        account=lambda listener: uuid4(),
        filters=dict,
    )

    async def closed() -> bool:
        subscription, _ = await consumers._subscribe(handshake, None)
        for _ in range(3):
            subscription.offer(Message("{}"))
        return subscription.closing.done()

    assert not asyncio.run(closed())
    store("LUNA_SENDER", **{name: 2})
    assert asyncio.run(closed())


@live("LUNA_SENDER.resume_events", "LUNA_SENDER.resume_s")
def test_missed_events(store: Store, account: Account) -> None:
    first, second = (make_event(account, notified=True) for _ in range(2))

    def missed() -> list[UUID]:
        found = missed_events(account_id=account.pk, last_event_id=first.event_id)
        return [each.event_id for each in found]

    assert missed() == [second.event_id]
    store("LUNA_SENDER", resume_events=0)
    with pytest.raises(LunaError, match="more than 0 events"):
        missed()
    store("LUNA_SENDER", resume_s=0)
    with pytest.raises(LunaError, match="older than 0 s"):
        missed()


@live("LUNA_SENDER.recheck_s")
def test_checks_of_credentials(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    own, other = threading.get_ident(), asyncio.sleep  # loops of earlier tests may run in other threads

    async def sleep(seconds: float) -> None:
        if threading.get_ident() != own:
            return await other(seconds)
        slept.append(seconds)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    for seconds in (10.0, 0.5):
        store("LUNA_SENDER", recheck_s=seconds)
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(hub.Hub()._watch_credentials())
    assert slept == [10.0, 0.5]


@live("LUNA_CALLBACKS.telegram_url")
def test_the_address_of_telegram(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(telegram, "post", lambda url, **_: called.append(url))
    monkeypatch.setattr(telegram, "answer_check", lambda answer: None)
    store("LUNA_CALLBACKS", telegram_url="https://bots.example")
    TelegramChat(chat_id="1", token=Secret.seal("t")).deliver(uuid4(), '{"text": "a"}')
    assert called == ["https://bots.example/bott/sendMessage"]


@live("LUNA_CALLBACKS.target_calls", "LUNA_CALLBACKS.account_calls")
def test_concurrent_deliveries(store: Store, account: Account) -> None:
    for name in ("a", "b", "c"):
        make(account, name, 10)
    deliveries = Courier()
    servers = set(Callback.objects.unscoped().values_list("server", flat=True))
    assert {deliveries._breaker(server).room() for server in servers} == {8}
    store("LUNA_CALLBACKS", target_calls=3, account_calls=5)
    claimed = deliveries.claim(100)
    assert len(claimed) == 5
    assert max(Counter(each.server for each in claimed).values()) == 3
    assert {deliveries._breaker(server).room() for server in servers} == {3}, "breakers of known servers"


@live("LUNA_CALLBACKS.retry_first", "LUNA_CALLBACKS.retry_longest")
def test_delays(store: Store) -> None:
    assert courier._delay_s(1) <= 1
    assert courier._delay_s(100) >= 300
    store("LUNA_CALLBACKS", retry_first=20.0, retry_longest=50.0)
    assert 10 <= courier._delay_s(1) <= 20
    assert 25 <= courier._delay_s(100) <= 50


@live("LUNA_CALLBACKS.total_time")
def test_time_of_callbacks(store: Store, account: Account) -> None:
    store("LUNA_CALLBACKS", total_time=60.0)
    (row,) = make(account, "a")
    assert row.expire_time - row.create_time == timedelta(seconds=60)


@pytest.mark.parametrize(("name", "value"), [("pending_limit", 2), ("pending_bytes", 3)])
@live("LUNA_CALLBACKS.pending_limit", "LUNA_CALLBACKS.pending_bytes")
def test_waiting_callbacks(store: Store, account: Account, name: str, value: int) -> None:
    make(account, "a", 3)
    quota()._checked.clear()
    assert quota().has_room(account.pk, 1)
    store("LUNA_CALLBACKS", **{name: value})
    quota()._checked.clear()
    assert not quota().has_room(account.pk, 1)


@live("LUNA_CALLBACKS.dead_days", "LUNA_CALLBACKS.dead_limit")
def test_dead_letters(store: Store, account: Account) -> None:
    for age_days, row in enumerate(make(account, "a", 4)):
        Callback.objects.unscoped().filter(pk=row.pk).update(dead_time=utc_now() - timedelta(days=age_days, hours=1))
    expire_and_clean()
    assert Callback.objects.unscoped().count() == 4
    store("LUNA_CALLBACKS", dead_days=2)
    expire_and_clean()
    assert Callback.objects.unscoped().count() == 2
    store("LUNA_CALLBACKS", dead_limit=1)
    expire_and_clean()
    assert Callback.objects.unscoped().count() == 1
