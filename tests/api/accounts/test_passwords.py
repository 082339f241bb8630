"""Passwords: the policy, and what a change ends."""

import base64
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts import services
from apps.accounts.auth.principal import Principal
from apps.accounts.choices import AccountType
from apps.accounts.config import Administrator, PasswordChanges
from apps.accounts.models import Account, AuditRecord, Token
from tests.api.accounts.helpers import JSON, issue, register
from tests.api.helpers import refused
from tests.factories import PASSWORD, basic_client, make_account

pytestmark = pytest.mark.django_db


WEAK = {
    "short12": "too short",
    "password1": "too common",
    "4815162342108": "entirely numeric",
    "someone@luna": "too similar to the login",
    "front-desk": "too similar to the description",
}


@pytest.mark.parametrize("password", WEAK)
def test_weak_passwords_are_refused(password: str) -> None:
    detail = refused(register(password=password, description="front desk"), 400, 12027)
    assert WEAK[password] in detail
    assert "Path: 'password'" in detail
    assert password not in detail
    assert not Account.objects.exists()


@pytest.mark.parametrize("password", WEAK)
def test_an_account_does_not_change_to_a_weak_password(password: str) -> None:
    register(description="front desk")
    body = {"login": "someone@luna.test", "password": "a password"}
    value = base64.b64encode(":".join(body.values()).encode()).decode()
    client = Client(headers={"Authorization": f"Basic {value}"})
    assert WEAK[password] in refused(client.patch("/6/account", {"password": password}, JSON), 400, 12027)
    both = {"login": "another@luna.test", "password": "another@luna"}
    assert "too similar to the login" in refused(client.patch("/6/account", both, JSON), 400, 12027)
    assert client.get("/6/account").json()["login"] == "someone@luna.test"


@pytest.mark.parametrize("password", WEAK)
def test_the_admin_site_refuses_weak_passwords(password: str) -> None:
    site, account = Client(), make_account()
    Account.objects.filter(pk=account.pk).update(description="front desk", login="someone@luna.test")
    admin = make_account(AccountType.ADMIN)
    site.force_login(admin)
    twice = {"password1": password, "password2": password}
    page = site.post(f"/admin/accounts/account/{account.pk}/password/", twice)
    assert (page.status_code, WEAK[password] in page.content.decode()) == (200, True)
    form = {"login": "someone@luna.tests", "account_type": "user", "description": "front desk", **twice}
    page = site.post("/admin/accounts/account/add/", form)
    assert page.status_code == 200
    assert not Account.objects.filter(login="someone@luna.tests").exists()
    account.refresh_from_db()
    assert account.check_password(PASSWORD)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("way", ["api", "admin", "own page", "command"])
def test_a_new_password_ends_the_tokens(
    way: str, keep: bool, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(PasswordChanges, keep_tokens=keep)
    admin, other = make_account(AccountType.ADMIN), make_account()
    account = admin if way == "own page" else make_account()
    token_id, token, _ = issue(account, permissions={"account": ["view"]})
    _, others_token, _ = issue(other, permissions={"account": ["view"]})
    AuditRecord.objects.all().delete()
    new = "quite another one"
    twice = {"password1": new, "password2": new, "new_password1": new, "new_password2": new, "old_password": PASSWORD}
    site = Client()
    site.force_login(admin)
    if way == "api":
        assert basic_client(account).patch("/6/account", {"password": new}, JSON).status_code == 204
    elif way == "admin":
        assert site.post(f"/admin/accounts/account/{account.pk}/password/", twice).status_code == 302
    elif way == "own page":
        assert site.post("/admin/password_change/", twice).status_code == 302
    else:
        monkeypatch.setattr("sys.stdin", StringIO(f"{new}\n"))
        call_command("changepassword", account.login, stdout=StringIO())
    account.refresh_from_db()
    assert account.check_password(new)
    assert others_token.get("/6/account").status_code == 200
    ends = AuditRecord.objects.filter(action="delete", object_type="token").values_list("object_id", flat=True)
    if keep:
        assert token.get("/6/account").status_code == 200
        assert list(ends) == []
    else:
        refused(token.get("/6/account"), 401, 41005)
        assert list(ends) == [str(token_id)]
    changed = AuditRecord.objects.get(action="update", object_type="account", object_id=str(account.pk))
    actor = {"api": account.pk, "admin": admin.pk, "own page": admin.pk, "command": None}[way]
    assert changed.account_id == actor


def test_another_change_keeps_the_tokens() -> None:
    account = make_account()
    _, token, _ = issue(account, permissions={"account": ["view"]})
    assert basic_client(account).patch("/6/account", {"description": "new"}, JSON).status_code == 204
    assert token.get("/6/account").status_code == 200


def test_no_token_is_created_with_the_password_before_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request was authenticated in time, and its transaction begins after the change."""
    account = make_account()
    checked = services._require_secret

    def meanwhile(principal: Principal) -> None:
        checked(principal)
        services.account_update(account=account, password="quite another one")

    monkeypatch.setattr(services, "_require_secret", meanwhile)
    refused(basic_client(account).post("/6/tokens", {"permissions": {}}, JSON), 401, 41006)
    assert not Token.objects.unscoped().exists()


def test_commands_keep_the_password_policy(monkeypatch: pytest.MonkeyPatch, configure: Callable[..., None]) -> None:
    account = make_account()
    monkeypatch.setattr("sys.stdin", StringIO("short\n"))
    with pytest.raises(CommandError, match="too short"):
        call_command("changepassword", account.login)
    with pytest.raises(CommandError, match=r"No account has the login 'nobody@luna\.test'"):
        call_command("changepassword", "nobody@luna.test")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "short")
    with pytest.raises(CommandError, match="too short"):
        call_command("createsuperuser", login="root@luna.test", interactive=False)
    configure(Administrator, password="root")
    with pytest.raises(CommandError, match=r"Cannot create the administrator admin@luna\.local: .*too short"):
        call_command("ensure_admin")
    assert Account.objects.get() == account
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "long enough to guess")
    call_command("createsuperuser", login="Root@luna.test", interactive=False, stdout=StringIO())
    assert Account.objects.get(login="root@luna.test").is_superuser
    assert AuditRecord.objects.filter(action="create", object_type="account").count() == 2
