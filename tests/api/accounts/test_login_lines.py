"""Logins leave audit lines: one each, and a bounded number of those that anonymous clients can cause."""

import base64
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import redis
from django.core.cache import caches
from django.test import Client
from pytest_django import Settings

from apps.accounts.choices import AccountType
from apps.accounts.config import Audit, Logins
from apps.accounts.models import Account, AuditRecord
from tests.api.accounts.helpers import JSON
from tests.api.helpers import refused
from tests.factories import PASSWORD, basic_client, client_of, make_account

pytestmark = pytest.mark.django_db
Line = tuple[str, str, str, UUID | None, UUID | None]  # action, type and id of the object, its owner, the actor


@pytest.fixture
def account() -> Account:
    account = make_account()
    AuditRecord.objects.all().delete()
    return account


def lines() -> list[Line]:
    rows = AuditRecord.objects.order_by("id")
    return list(rows.values_list("action", "object_type", "object_id", "object_account_id", "account_id"))


def login(account: Account, way: str = "api") -> Line:
    return ("login", way, str(account.pk), account.pk, account.pk)


def failed(account: Account | None, way: str = "api", action: str = "login_failed") -> Line:
    return (action, way, str(account.pk) if account else "unknown", account.pk if account else None, None)


def wrong(login: str, **environ: Any) -> Any:
    value = base64.b64encode(f"{login}:wrong".encode()).decode()
    return Client(headers={"Authorization": f"Basic {value}"}).get("/6/account", **environ)


def site_login(login: str, password: str = PASSWORD) -> Client:
    client = Client()
    client.post("/admin/login/", {"username": login, "password": password})
    return client


def test_a_login_to_the_api_leaves_one_line_an_hour(account: Account, redis_client: redis.Redis) -> None:
    client = basic_client(account)
    for _ in range(3):
        assert client.get("/6/account").status_code == 200
    assert lines() == [login(account)]
    assert AuditRecord.objects.get().remote_address == "127.0.0.1"
    assert AuditRecord.objects.get().request_id
    for key in redis_client.scan_iter("*credentials*"):
        redis_client.delete(key)
    caches["process"].clear()  # the password is hashed again
    assert client.get("/6/account").status_code == 200
    assert lines() == [login(account)]
    assert client.get("/6/account", REMOTE_ADDR="192.0.2.7").status_code == 200
    assert lines() == [login(account)] * 2


def test_verified_credentials_leave_a_line(account: Account) -> None:
    body = {"login": account.login, "password": PASSWORD}
    assert Client().post("/6/credentials", body, JSON).status_code == 200
    assert lines() == [login(account)]
    refused(Client().post("/6/credentials", {**body, "password": "wrong"}, JSON), 401, 41006)
    assert lines() == [login(account), failed(account)]


def test_tokens_leave_none(account: Account) -> None:
    assert client_of(account).get("/6/account").status_code == 200
    refused(Client(headers={"Authorization": "Bearer wrong"}).get("/6/account"), 401, 11062)
    assert lines() == []


def test_a_failed_login_leaves_one_line(account: Account) -> None:
    refused(wrong(account.login), 401, 41006)
    refused(wrong("nobody@luna.test"), 401, 41006)
    assert lines() == [failed(account), failed(None)]
    assert "nobody" not in str(list(AuditRecord.objects.values())), "it may be a password in the wrong field"
    Account.objects.update(is_active=False)
    refused(basic_client(account).get("/6/account"), 401, 41006)
    assert lines()[2:] == [failed(account)]


def test_a_request_that_is_authenticated_twice_leaves_one_line(account: Account) -> None:
    headers = {"Idempotency-Key": "k"}
    value = base64.b64encode(f"{account.login}:wrong".encode()).decode()
    answer = Client(headers={"Authorization": f"Basic {value}"}).post("/6/faces", {}, JSON, headers=headers)
    refused(answer, 401, 41006)
    assert lines() == [failed(account)]
    assert basic_client(account).post("/6/faces", {}, JSON, headers=headers).status_code == 201
    assert [line for line in lines() if line[0] == "login"] == [login(account)]


def test_a_lock_out_leaves_one_line(account: Account, configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins=3)
    for _ in range(3):
        refused(wrong(account.login), 401, 41006)
    for _ in range(5):
        refused(wrong(account.login), 429, 11065)
        refused(basic_client(account).get("/6/account"), 429, 11065)
    assert lines() == [*[failed(account)] * 3, failed(account, action="login_locked")]


def test_a_lock_out_of_an_address_leaves_one_line(account: Account, configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins_per_address=4)
    for number in range(4):
        refused(wrong(f"sprayed{number}@luna.test"), 401, 41006)
    for number in range(4, 20):
        refused(wrong(f"sprayed{number}@luna.test"), 429, 11065)
    assert lines() == [*[failed(None)] * 4, ("login_locked", "api", "all logins", None, None)]


@pytest.mark.parametrize("with_redis", [True, False])
def test_sprayed_logins_do_not_fill_the_database(
    account: Account,
    configure: Callable[..., None],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    with_redis: bool,
) -> None:
    """From many addresses, against many logins: the log has all of them, the audit log a bounded number."""
    configure(Audit, failed_logins=5)
    if not with_redis:
        _no_redis(monkeypatch)
    with caplog.at_level(logging.WARNING, "apps.accounts.auth.logins"):
        for number in range(20):
            refused(wrong(f"sprayed{number}@luna.test", REMOTE_ADDR=f"192.0.2.{number}"), 401, 41006)
    assert lines() == [*[failed(None)] * 5, ("login_failed", "api", "further ones", None, None)]
    assert len([each for each in caplog.records if "Failed login" in each.getMessage()]) == 20
    assert "sprayed" not in caplog.text
    assert basic_client(account).get("/6/account").status_code == 200
    assert lines()[-1] == login(account), "a login that succeeds leaves its line"


def _no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.accounts.auth import attempts
    from apps.common.redis_client import RedisAwayError

    def away() -> None:
        raise RedisAwayError

    monkeypatch.setattr(attempts, "client", away)


def test_the_admin_site_leaves_a_line_per_login() -> None:
    admin = make_account(AccountType.ADMIN)
    AuditRecord.objects.all().delete()
    assert basic_client(admin).get("/6/account").status_code == 200
    for _ in range(2):
        assert site_login(admin.login).get("/admin/").status_code == 200
    assert lines() == [login(admin), *[login(admin, "admin_site")] * 2]


def test_failed_logins_to_the_admin_site_leave_lines(account: Account, configure: Callable[..., None]) -> None:
    """Those of accounts that may not use it, too."""
    configure(Logins, failed_logins=2)
    admin = make_account(AccountType.ADMIN)
    AuditRecord.objects.all().delete()
    assert site_login(account.login).get("/admin/").status_code == 302
    assert lines() == [failed(account, "admin_site")]
    for password in ("wrong", "wrong", PASSWORD):
        assert site_login(admin.login, password).get("/admin/").status_code == 302
    assert lines()[1:] == [
        failed(admin, "admin_site"),
        failed(admin, "admin_site"),
        failed(admin, "admin_site", "login_locked"),
    ]


@pytest.mark.parametrize("address", ["", "unknown", "fe80::1%eth0", "1.2.3.4:80", "::ffff:192.0.2.1"])
def test_any_forwarded_text_leaves_a_line(account: Account, address: str) -> None:
    """A proxy may hand on what its client sent as an address."""
    refused(wrong(account.login, REMOTE_ADDR=address), 401, 41006)
    assert lines() == [failed(account)]
