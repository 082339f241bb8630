"""The rate limit of logins: counted before hashing, per login and per address, with Redis and without."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest
import redis
from django.contrib.auth.hashers import check_password
from django.db import OperationalError, connection
from pytest_django import Settings

from apps.accounts.auth import credentials
from apps.accounts.auth.attempts import Attempts
from apps.accounts.auth.credentials import LOGINS_AT_ONCE, password_verify
from apps.accounts.config import Logins
from apps.accounts.models import Account
from apps.common import redis_client as redis_module
from apps.common.errors import LunaError
from tests.factories import PASSWORD, make_account

WRONG = "wrong"


def refusal(login: str, password: str = WRONG, address: str = "192.0.2.1") -> int:
    with pytest.raises(LunaError) as caught:
        password_verify(login=login, password=password, address=address)
    return caught.value.status


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    """Redis is gone for this process."""

    def gone(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(redis.Redis, "execute_command", gone)
    yield
    redis_module.breaker.close()


@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_once_only_the_promised_number_is_hashed(configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins=10)
    account, statuses, hashed = make_account(), [], []
    check = check_password
    gate = threading.Barrier(40)

    def guess(number: int) -> None:
        gate.wait()
        try:
            statuses.append(refusal(account.login, f"guess {number}"))
        finally:
            connection.close()

    with patch.object(credentials, "check_password", lambda *given: hashed.append(1) or check(*given)):
        threads = [threading.Thread(target=guess, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(hashed) == 10
    assert (statuses.count(401), statuses.count(429)) == (10, 30)


@pytest.mark.django_db(transaction=True)
def test_of_many_right_logins_at_once_none_is_refused(configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins=2)
    account, found, hashed = make_account(), [], []
    check = check_password
    gate = threading.Barrier(16)

    def log_in() -> None:
        gate.wait()
        try:
            found.append(password_verify(login=account.login, password=PASSWORD, address="192.0.2.1").pk)
        finally:
            connection.close()

    with patch.object(credentials, "check_password", lambda *given: hashed.append(1) or check(*given)):
        threads = [threading.Thread(target=log_in) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [account.pk] * 16
    assert len(hashed) == 1


def test_an_address_that_sprays_logins_is_limited(db: None, configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins_per_address=5)
    account = make_account()
    statuses = [refusal(f"login{number}@luna.test") for number in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    assert refusal(account.login, PASSWORD) == 429
    assert password_verify(login=account.login, password=PASSWORD, address="192.0.2.2") == account
    assert password_verify(login=account.login, password=PASSWORD, address="192.0.2.1") == account  # remembered


def test_right_logins_do_not_count(db: None, configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins=2)
    configure(Logins, failed_logins_per_address=2)
    for _ in range(4):
        account = make_account()
        assert password_verify(login=account.login, password=PASSWORD, address="192.0.2.1") == account


def test_logins_do_not_count_while_the_database_is_away(
    db: None, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(Logins, failed_logins=2)
    account = make_account()

    def away(login: str) -> None:
        raise OperationalError

    with monkeypatch.context() as patched:
        patched.setattr("apps.accounts.selectors.account_by_login", away)
        for _ in range(3):
            with pytest.raises(OperationalError):
                password_verify(login=account.login, password=PASSWORD, address="192.0.2.1")
    assert password_verify(login=account.login, password=PASSWORD, address="192.0.2.1") == account


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        (None, "", True),
        ("unix socket", "unix socket", True),
    ],
)
def test_an_ipv6_client_is_its_network(one: str | None, other: str | None, same: bool) -> None:
    assert (Attempts("a", one).key == Attempts("a", other).key) is same


@pytest.mark.usefixtures("away")
def test_without_redis_the_database_decides_and_the_process_counts(db: None, configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins=3)
    account: Account = make_account()
    assert password_verify(login=account.login, password=PASSWORD, address="192.0.2.1") == account
    assert [refusal(account.login) for _ in range(5)] == [401] * 3 + [429] * 2
    assert refusal(account.login, PASSWORD) == 429
    assert password_verify(login=account.login, password=PASSWORD, address="192.0.2.2") == account


def test_logins_beyond_the_places_are_refused_without_a_wait(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waiting login holds a thread that other requests need."""
    with ExitStack() as taken:
        for number in range(LOGINS_AT_ONCE):
            taken.enter_context(credentials._place(f"login {number}"))
        account = make_account()
        monkeypatch.setattr(credentials, "_hashes", None)  # a login that waits for a hash fails otherwise
        monkeypatch.setattr(credentials, "_turns", [])
        assert refusal(account.login) == 503
        monkeypatch.undo()
        with credentials._place("login 0"):  # the same login shares its place
            assert refusal(account.login) == 503
    assert refusal(account.login) == 401


def test_an_address_beyond_its_limit_does_not_wait_for_a_hash(db: None, configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins_per_address=3)
    assert [refusal(f"u{number}@luna.test") for number in range(3)] == [401] * 3
    account = make_account()
    with credentials._hashes.take(credentials.HASHES_AT_ONCE):
        assert refusal(account.login) == 429  # after a wait, it would be 503
    assert password_verify(login=account.login, password=PASSWORD, address="192.0.2.2").pk == account.pk
