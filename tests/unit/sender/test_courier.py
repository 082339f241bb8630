"""Claims, attempts and results: leases, limits, breakers, backoff, dead letters."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.db import connection

from apps.accounts.models import Account
from apps.common.fetch import Answer, FetchError
from apps.common.times import utc_now
from apps.sender.config import Callbacks
from apps.sender.delivery import courier as module
from apps.sender.delivery.courier import Courier
from apps.sender.delivery.queue import MARGIN_S
from apps.sender.models import Callback
from apps.sender.targets import PermanentError, TransientError, Webhook, http
from apps.sender.targets.http import retry_after_s
from tests.factories import make_account, make_callback
from tests.unit.sender.targets import Noted, delivered, errors

pytestmark = pytest.mark.django_db


def make(owner: Account, name: str, count: int = 1) -> list[Callback]:
    return [make_callback(owner, Noted(name=name), payload=f'{{"n":{n}}}') for n in range(count)]


def work(courier: Courier, slots: int = 100) -> int:
    """One round: the number of attempts."""
    claimed = courier.claim(slots)
    courier.settle([courier.attempt(each) for each in claimed])
    return len(claimed)


def make_due() -> None:
    """As if the leases and delays were over."""
    Callback.objects.unscoped().update(due_time=utc_now() - timedelta(seconds=1))


def test_a_delivered_callback_is_deleted(account: Account) -> None:
    (row,) = make(account, "a")
    assert work(Courier()) == 1
    assert delivered == [("a", row.callback_id, '{"n":0}')]
    assert not Callback.objects.unscoped().exists()


def test_a_claimed_callback_belongs_to_one_worker_until_its_lease_ends(account: Account) -> None:
    """A worker that is killed after its claim loses nothing."""
    (row,) = make(account, "a")
    (killed,) = Courier().claim(10)
    assert Courier().claim(10) == []
    leased = Callback.objects.unscoped().get()
    attempt_s = leased.target["timeout_s"]
    assert timedelta(seconds=attempt_s + MARGIN_S - 5) < leased.due_time - utc_now() < timedelta(seconds=attempt_s + 20)
    make_due()
    (again,) = Courier().claim(10)
    assert (again.callback_id, again.attempts) == (killed.callback_id, 2) == (row.callback_id, 2)


def test_a_late_worker_does_not_overwrite_the_next_one(account: Account) -> None:
    make(account, "a")
    errors["a"] = TransientError("late")
    late, next_one = Courier(), Courier()
    (old,) = late.claim(1)
    make_due()
    (new,) = next_one.claim(1)
    late.settle([late.attempt(old)])
    assert Callback.objects.unscoped().get().error == ""
    next_one.settle([next_one.attempt(new)])
    assert Callback.objects.unscoped().get().error == "late"


def test_delays_grow_with_jitter_up_to_the_longest(configure: Callable[..., None]) -> None:
    configure(Callbacks, retry_first=2, retry_longest=60)
    for attempts, longest in ((1, 2), (2, 4), (5, 32), (6, 60), (5000, 60)):
        delays = {module._delay_s(attempts) for _ in range(20)}
        assert longest / 2 <= min(delays) < max(delays) <= longest


def test_a_failure_is_retried_later(account: Account, configure: Callable[..., None]) -> None:
    configure(Callbacks, retry_first=100)
    make(account, "a")
    errors["a"] = TransientError("HTTP 500")
    courier = Courier()
    assert (work(courier), work(courier)) == (1, 0)
    row = Callback.objects.unscoped().get()
    assert timedelta(seconds=45) < row.due_time - utc_now() <= timedelta(seconds=100)
    assert (row.attempts, row.error, row.dead_time) == (1, "HTTP 500", None)
    del errors["a"]
    make_due()
    assert work(courier) == 1
    assert len({callback_id for _, callback_id, _ in delivered}) == 1


@pytest.mark.parametrize(("wait_s", "delay_s"), [(0, 2), (30, 30), (1e9, 60)])
def test_a_target_determines_the_next_attempt_within_bounds(
    account: Account, configure: Callable[..., None], wait_s: float, delay_s: float
) -> None:
    configure(Callbacks, retry_first=2, retry_longest=60)
    make(account, "a")
    errors["a"] = TransientError("HTTP 429", wait_s=wait_s)
    work(Courier())
    delay = Callback.objects.unscoped().get().due_time - utc_now()
    assert timedelta(seconds=delay_s / 2 - 1) < delay <= timedelta(seconds=delay_s)
    assert wait_s != 30 or delay > timedelta(seconds=28)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("-1", 0),
        ("soon", 0),
        ("", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("9" * 50, 999999999),
    ],
)  # fmt: skip
def test_retry_after(text: str, seconds: float) -> None:
    assert retry_after_s({"retry-after": text}) == seconds
    assert retry_after_s({}) == 0
    in_a_minute = format_datetime(utc_now() + timedelta(seconds=60), usegmt=True)
    assert 58 < retry_after_s({"retry-after": in_a_minute}) <= 60


@pytest.mark.parametrize("error", [PermanentError("HTTP 403"), TransientError("HTTP 500")])
def test_dead_letters(account: Account, error: Exception, configure: Callable[..., None]) -> None:
    """A permanent failure, and one without time for another attempt."""
    configure(Callbacks, total_time=1, retry_first=100)
    make(account, "a")
    errors["a"] = error
    courier = Courier()
    work(courier)
    row = Callback.objects.unscoped().get()
    assert row.dead_time is not None
    assert row.error == str(error)
    make_due()
    assert work(courier) == 0
    assert courier.status() == {"running": 0, "open_servers": 0, "delivered": 0, "failed": 0, "dead": 1}


def test_permanent_and_temporary_failures_of_one_round(account: Account) -> None:
    errors["a"], errors["b"] = PermanentError("400"), TransientError("500")
    for name in "abc":
        make(account, name)
    courier = Courier()
    work(courier)
    rows = {row.target["name"]: row.dead_time is None for row in Callback.objects.unscoped()}
    assert rows == {"a": False, "b": True}
    assert courier.counts == {"dead": 1, "failed": 1, "delivered": 1}


def test_an_unexpected_error_is_logged_and_retried(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    make(account, "a")
    errors["a"] = ZeroDivisionError("of a secret")
    work(Courier())
    assert Callback.objects.unscoped().get().error == "internal error: see the log"
    assert "ZeroDivisionError" in caplog.text


def test_a_server_that_is_away_stops_only_its_own_callbacks(
    account: Account, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers 500 for an hour: after five failures one trial call per pause, and no other account notices."""
    configure(Callbacks, retry_first=0, target_calls=4)
    make(account, "away/1", 20)
    errors["away/1"] = TransientError("HTTP 500")
    courier = Courier()
    for _ in range(10):
        work(courier)
    attempts = Counter(name for name, _, _ in delivered)
    assert module.FAILURES <= attempts["away/1"] <= module.FAILURES + 4
    assert courier.status()["open_servers"] == 1
    other = make_account()
    make(other, "away/1", 3)  # the same server, of another account
    make(account, "fine", 3)
    delivered.clear()
    assert work(courier) == 6
    assert Counter(name for name, _, _ in delivered) == {"away/1": 3, "fine": 3}
    for breaker in courier._breakers.values():
        monkeypatch.setattr(breaker, "_closed_until", 0.0)
    errors.clear()
    delivered.clear()
    assert work(courier) == 1 + 3  # half-open: one trial call; those of the other account failed once
    while work(courier):
        pass
    assert not Callback.objects.unscoped().exists()


def test_a_webhook_that_fails_does_not_delay_others_of_its_server(
    account: Account, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: Counter[str] = Counter()

    def post(url: str, **_: Any) -> Answer:
        called[url] += 1
        if "/away" in url:
            raise FetchError("no answer in time")
        return Answer(200, {}, b"")

    monkeypatch.setattr(http, "post", post)
    configure(Callbacks, retry_first=0, target_calls=4)
    for query in ("?a", "?b"):
        for _ in range(10):
            make_callback(account, Webhook(url=f"http://gateway/away{query}"))
    courier = Courier()
    for _ in range(10):
        work(courier)
    assert module.FAILURES <= called.total() <= module.FAILURES + 4
    called.clear()
    for _ in range(4):
        make_callback(account, Webhook(url="http://Gateway/fine"))
    assert work(courier) == 4
    assert called == {"http://Gateway/fine": 4}


def test_concurrent_deliveries_are_bounded_per_server_and_account(
    account: Account, configure: Callable[..., None]
) -> None:
    configure(Callbacks, target_calls=3, account_calls=5)
    for name in ("a", "b", "c"):
        make(account, name, 10)
    make(make_account(), "a", 10)
    courier = Courier()
    claimed = courier.claim(100)
    assert Counter(each.account_id == account.pk for each in claimed) == {True: 5, False: 3}
    assert max(Counter(each.server for each in claimed).values()) == 3
    assert courier.claim(100) == []
    for each in claimed:
        courier.attempt(each)
    assert len(courier.claim(100)) == 8
    assert len(Courier().claim(2)) == 2


def test_no_server_starves(account: Account) -> None:
    """More servers than slots: all are served in the end."""
    for number in range(12):
        make(account, f"server-{number}")
    courier = Courier()
    while work(courier, slots=2):
        pass
    assert len(delivered) == 12


def test_expired_and_old_callbacks_are_cleaned(account: Account, configure: Callable[..., None]) -> None:
    configure(Callbacks, dead_limit=3, dead_days=2)
    rows = make(account, "a", 6)
    now = utc_now()

    def update(row: Callback, **values: Any) -> None:
        Callback.objects.unscoped().filter(pk=row.pk).update(**values)

    update(rows[0], expire_time=now - timedelta(hours=1))  # never attempted in its time
    update(rows[1], expire_time=now - timedelta(hours=1), due_time=now + timedelta(hours=1))  # in delivery
    update(rows[2], dead_time=now - timedelta(days=3))
    for age, row in enumerate(rows[3:]):
        update(row, dead_time=now - timedelta(hours=age + 1))
    courier = Courier()
    courier.clean()
    left = {row.pk: row for row in Callback.objects.unscoped()}
    assert set(left) == {rows[0].pk, rows[1].pk, rows[3].pk, rows[4].pk}
    assert (left[rows[0].pk].error, left[rows[1].pk].dead_time) == ("never attempted", None)
    assert courier.status()["dead"] == 1


def test_a_claim_walks_the_index(account: Account) -> None:
    """A backlog of one server costs as much as one callback: no claim reads the whole table."""
    make(account, "a")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO sender_callback (account_id, callback_id, kind, target, place, server, payload, size,"
            " create_time, due_time, expire_time, attempts, error) SELECT account_id, gen_random_uuid(), kind, target,"
            " place, server, payload, size, now(), now(), expire_time, 0, '' FROM sender_callback,"
            " generate_series(1, 5000)"
        )
        cursor.execute("ANALYZE sender_callback")
        cursor.execute("SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'sender_callback'")
        scans, read = cursor.fetchone()
        assert len(Courier().claim(32)) == 8
        cursor.execute("SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'sender_callback'")
        assert cursor.fetchone()[0] == scans
        cursor.execute("SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'sender_callback'")
        assert cursor.fetchone()[0] - read < 200
