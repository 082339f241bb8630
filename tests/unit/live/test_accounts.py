"""Settings of accounts: logins, registration, passwords, audit, kept answers."""

import time
from datetime import timedelta

import pytest
import redis
from django.contrib.auth.hashers import check_password
from django.core.cache import cache, caches
from django.test import Client

from apps.accounts.audit import audit_write
from apps.accounts.auth import credentials
from apps.accounts.auth.credentials import password_verify
from apps.accounts.jobs import audit_prune
from apps.accounts.models import Account, AuditRecord, Token
from apps.common.errors import LunaError
from apps.common.times import utc_now
from tests.factories import PASSWORD, basic_client, client_of, header_client
from tests.unit.live.conftest import Store
from tests.unit.live.table import live

JSON, WRONG = "application/json", "wrong"


def status(login: str, password: str = WRONG, address: str = "192.0.2.1") -> int:
    with pytest.raises(LunaError) as caught:
        password_verify(login=login, password=password, address=address)
    return caught.value.status


@live("LUNA_LOGINS.failed_logins", "LUNA_LOGINS.failed_logins_window_s")
def test_failed_logins(store: Store, account: Account) -> None:
    assert [status(account.login) for _ in range(3)] == [401] * 3
    store("LUNA_LOGINS", failed_logins=2, failed_logins_window_s=77)
    with pytest.raises(LunaError) as limited:
        password_verify(login=account.login, password="wrong", address="192.0.2.1")
    assert (limited.value.status, limited.value.headers["Retry-After"]) == (429, "77")


@live("LUNA_LOGINS.failed_logins_per_address")
def test_failed_logins_of_an_address(store: Store, account: Account) -> None:
    assert [status(f"{number}@luna.test") for number in range(3)] == [401] * 3
    store("LUNA_LOGINS", failed_logins_per_address=3)
    assert status("4@luna.test") == 429


@live("LUNA_LOGINS.credentials_cache_s")
def test_cached_passwords(store: Store, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(credentials, "check_password", lambda *given: hashed.append(given[0]) or check_password(*given))
    client = basic_client(account)
    for _ in range(2):
        assert client.get("/6/account").status_code == 200
    assert len(hashed) == 1
    store("LUNA_LOGINS", credentials_cache_s=0)
    cache.clear()
    caches["process"].clear()
    for _ in range(2):
        assert client.get("/6/account").status_code == 200
    assert len(hashed) == 3


@live("LUNA_LOGINS.allow_luna_account_auth_header", "LUNA_LOGINS.account_header_clients")
def test_the_account_header(store: Store, account: Account) -> None:
    def answered(address: str) -> int:
        found: int = header_client(account).get("/6/account", REMOTE_ADDR=address).status_code
        return found

    assert answered("127.0.0.1") == 403
    store("LUNA_LOGINS", allow_luna_account_auth_header=True)
    assert (answered("127.0.0.1"), answered("192.0.2.7")) == (200, 403)
    store("LUNA_LOGINS", allow_luna_account_auth_header=True, account_header_clients=["192.0.2.0/24"])
    assert (answered("127.0.0.1"), answered("192.0.2.7")) == (403, 200)


def registered(account_type: str) -> int:
    new = {"login": f"{time.monotonic_ns()}@luna.test", "password": PASSWORD, "account_type": account_type}
    status_code: int = Client().post("/6/accounts", new, JSON).status_code
    return status_code


@live("LUNA_REGISTRATION.open", "LUNA_REGISTRATION.open_advanced")
def test_registration(store: Store, db: None) -> None:
    assert (registered("user"), registered("advanced_user")) == (201, 403)
    store("LUNA_REGISTRATION", open=True, open_advanced=True)
    assert (registered("user"), registered("advanced_user")) == (201, 201)
    store("LUNA_REGISTRATION", open=False)
    assert (registered("user"), registered("advanced_user")) == (403, 403)


@live("LUNA_PASSWORD_CHANGES.keep_tokens")
def test_tokens_after_a_new_password(store: Store, account: Account) -> None:
    client_of(account)
    store("LUNA_PASSWORD_CHANGES", keep_tokens=True)
    assert basic_client(account).patch("/6/account", {"password": "another horse"}, JSON).status_code == 204
    assert Token.objects.for_account(account.pk).count() == 1


@live("LUNA_AUDIT.retention_days", "LUNA_AUDIT.login_retention_days")
def test_retention_of_audit_lines(store: Store, db: None) -> None:
    for action in ("view", "login"):
        audit_write(action=action, object_type="face", object_id=action)
    AuditRecord.objects.update(time=utc_now() - timedelta(days=50))
    audit_prune()
    assert AuditRecord.objects.count() == 2
    store("LUNA_AUDIT", login_retention_days=40)
    AuditRecord.objects.exclude(object_type="face").delete()
    audit_prune()
    assert AuditRecord.objects.get(object_type="face").action == "view"
    store("LUNA_AUDIT", retention_days=40)
    audit_prune()
    assert not AuditRecord.objects.filter(object_type="face").exists()


@live("LUNA_AUDIT.failed_logins")
def test_audit_lines_of_failed_logins(store: Store, account: Account) -> None:
    store("LUNA_AUDIT", failed_logins=2)
    for number in range(5):
        status(f"{number}@luna.test", address=f"192.0.2.{number}")
    assert AuditRecord.objects.filter(action="login_failed").count() == 3  # one for all that are not listed


@pytest.mark.parametrize("name", ["account_max_size", "max_size"])
@live("LUNA_IDEMPOTENCY.account_max_size", "LUNA_IDEMPOTENCY.max_size")
def test_kept_answers(store: Store, account: Account, redis_client: redis.Redis, name: str) -> None:
    client = client_of(account)

    def kept() -> int:
        for number in range(10):
            client.post("/6/lists", {}, JSON, headers={"Idempotency-Key": f"k{number}"})
        return len(redis_client.keys("luna:idempotency:*"))

    assert kept() >= 10
    redis_client.flushdb()
    store("LUNA_IDEMPOTENCY", **{name: 1000})
    assert kept() < 8
