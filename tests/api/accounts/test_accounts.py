"""/6/accounts and /6/account."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.choices import AccountType
from apps.accounts.config import Logins, Registration
from apps.accounts.models import Account, AuditRecord, Token
from apps.common.holdings import Erasure, Holding, holdings
from tests.api.accounts.helpers import BODY, JSON, issue, register
from tests.api.helpers import refused
from tests.factories import PASSWORD, basic_client, header_client, make_account, make_event

pytestmark = pytest.mark.django_db


def test_registration_is_open() -> None:
    answer = register(description="ours")
    account = Account.objects.get(login="someone@luna.test")
    assert answer.status_code == 201
    assert answer.json()["account_id"] == str(account.account_id)
    assert answer.headers["Location"] == answer.json()["url"] == "/6/account"
    assert (account.account_type, account.description) == ("user", "ours")
    assert account.check_password("a password")


def test_wrong_credentials_do_not_hinder_registration() -> None:
    answer = Client(headers={"Authorization": "Basic bm86bm8="}).post("/6/accounts", BODY, JSON)
    assert answer.status_code == 201


def test_header_fixes_the_id() -> None:
    account_id = uuid4()
    client = Client(headers={"Luna-Account-Id": str(account_id)})
    assert client.post("/6/accounts", BODY, JSON).json()["account_id"] == str(account_id)
    refused(client.post("/6/accounts", {**BODY, "login": "other@luna.test"}, JSON), 409, 41002)


def test_header_that_is_no_uuid() -> None:
    refused(Client(headers={"Luna-Account-Id": "7"}).post("/6/accounts", BODY, JSON), 400, 11037)


@pytest.mark.parametrize("login", ["someone@luna.test", "SomeOne@Luna.test"])
def test_login_is_taken_in_any_case(login: str) -> None:
    register()
    assert login in refused(register(login=login), 409, 41001)


@pytest.mark.parametrize(
    "changes",
    [
        {"account_type": "admin"},
        {"account_type": "root"},
        {"login": "no address"},
        {"login": "a" * 120 + "@luna.test"},
        {"login": None},
        {"password": "abc"},
        {"password": "x" * 129},
        {"password": 12345678901234567890},
        {"description": "x" * 129},
        {"description": "nul \0"},
        {"is_staff": True},
    ],
)
def test_bad_bodies(changes: dict[str, Any]) -> None:
    if changes == {"password": 12345678901234567890}:
        changes = {"password": [1]}
    assert next(iter(changes)) in refused(register(**changes), 400, 12027)
    assert not Account.objects.exists()


@pytest.mark.parametrize(("body", "code"), [(b"", 12002), (b"{", 12002), (b"[]", 12027), (b"null", 12027)])
def test_bad_json(body: bytes, code: int) -> None:
    refused(Client().post("/6/accounts", body, JSON), 400, code)


def test_wrong_content_type() -> None:
    refused(Client().post("/6/accounts", b"login=a", "text/plain"), 400, 12017)


@pytest.mark.usefixtures("account_header")
def test_advanced_accounts_need_an_administrator(configure: Callable[..., None]) -> None:
    body = {**BODY, "account_type": "advanced_user"}
    admin, user = make_account(AccountType.ADMIN), make_account()
    refused(register(account_type="advanced_user"), 403, 12010)
    refused(header_client(admin).post("/6/accounts", body, JSON), 403, 12010)
    refused(basic_client(user).post("/6/accounts", body, JSON), 403, 12033)
    refused(issue(admin)[1].post("/6/accounts", body, JSON), 403, 12033)
    assert basic_client(admin).post("/6/accounts", body, JSON).status_code == 201
    configure(Registration, open_advanced=True)
    assert register(account_type="advanced_user", login="other@luna.test").status_code == 201


def test_registration_can_be_closed(configure: Callable[..., None]) -> None:
    configure(Registration, open=False)
    refused(register(), 403, 12010)
    assert basic_client(make_account(AccountType.ADMIN)).post("/6/accounts", BODY, JSON).status_code == 201


def test_own_account() -> None:
    account = make_account()
    answer = basic_client(account).get("/6/account").json()
    assert set(answer) == {
        "account_id",
        "login",
        "account_type",
        "description",
        "time_zone",
        "create_time",
        "last_update_time",
    }
    assert answer["account_id"] == str(account.account_id)
    assert answer["create_time"].endswith("Z")


def test_targets() -> None:
    client = basic_client(make_account())
    assert set(client.get("/6/account", {"targets": "login,account_id"}).json()) == {"login", "account_id"}
    assert "password" in refused(client.get("/6/account", {"targets": "login,password"}), 400, 41010)


def test_patch_account() -> None:
    account = make_account()
    client = basic_client(account)
    assert client.patch("/6/account", {"description": "new", "login": "New@luna.test"}, JSON).status_code == 204
    account.refresh_from_db()
    assert (account.description, account.login) == ("new", "new@luna.test")
    assert AuditRecord.objects.filter(object_type="account", action="update", account_id=account.pk).exists()


def test_patch_errors() -> None:
    account, other = make_account(), make_account()
    client = basic_client(account)
    refused(client.patch("/6/account", {}, JSON), 400, 12005)
    refused(client.patch("/6/account", {"login": other.login}, JSON), 409, 41001)
    refused(client.patch("/6/account", {"account_type": "admin"}, JSON), 400, 12027)
    refused(client.patch("/6/account", {"account_type": "advanced_user"}, JSON), 403, 12033)
    refused(client.patch("/6/account", {"account_id": str(uuid4())}, JSON), 400, 12027)


def test_type_of_an_administrator_stays() -> None:
    admin = make_account(AccountType.ADMIN)
    refused(basic_client(admin).patch("/6/account", {"account_type": "user"}, JSON), 403, 41004)


def test_new_password_ends_the_old_one_at_once() -> None:
    account = make_account()
    old = basic_client(account)
    assert old.get("/6/account").status_code == 200
    assert old.patch("/6/account", {"password": "another one"}, JSON).status_code == 204
    refused(old.get("/6/account"), 401, 41006)


@pytest.mark.usefixtures("account_header")
@pytest.mark.parametrize("method", ["patch", "delete"])
def test_who_only_knows_the_id_cannot_take_an_account_over(method: str) -> None:
    account = make_account()
    body = {"password": "mine now"}
    refused(getattr(header_client(account), method)("/6/account", body, JSON), 403, 12010)
    refused(getattr(issue(account)[1], method)("/6/account", body, JSON), 403, 11064)
    assert basic_client(account).get("/6/account").status_code == 200


def test_token_reads_the_account_with_the_right() -> None:
    account = make_account()
    assert issue(account, permissions={"account": ["view"]})[1].get("/6/account").status_code == 200
    assert "account" in refused(issue(account)[1].get("/6/account"), 403, 11059)


def test_delete_account_with_its_data(django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_account()
    _, token, _ = issue(account, permissions={"account": ["view"]})
    make_event(account)
    erased: list[UUID] = []

    def erase(account_id: UUID, erasure: Erasure) -> None:
        assert Token.objects.for_account(account_id).exists(), "rooms see the rows"
        erased.append(account_id)

    monkeypatch.setitem(holdings._rooms, "another room", Holding(account=erase))
    with django_capture_on_commit_callbacks(execute=True):
        assert basic_client(account).delete("/6/account").status_code == 204
    assert erased == [account.pk]
    assert not Account.objects.exists()
    assert not Token.objects.unscoped().exists()
    refused(token.get("/6/account"), 401, 41005)
    refused(basic_client(account).get("/6/account"), 401, 41006)
    assert AuditRecord.objects.filter(action="delete", object_type="account", object_id=str(account.pk)).exists()


def test_last_administrator_stays(django_capture_on_commit_callbacks: Any) -> None:
    admin = make_account(AccountType.ADMIN)
    refused(basic_client(admin).delete("/6/account"), 403, 12033)
    other = make_account(AccountType.ADMIN)
    with django_capture_on_commit_callbacks(execute=True):
        assert basic_client(admin).delete("/6/account").status_code == 204
    assert list(Account.objects.all()) == [other]


@pytest.mark.usefixtures("account_header")
def test_list_is_for_those_who_see_all() -> None:
    admin, user = make_account(AccountType.ADMIN), make_account()
    page = basic_client(admin).get("/6/accounts").json()["accounts"]
    assert [row["account_id"] for row in page] == [str(user.pk), str(admin.pk)]
    refused(basic_client(user).get("/6/accounts"), 403, 12033)
    refused(header_client(admin).get("/6/accounts"), 403, 12033)
    refused(Client().get("/6/accounts"), 403, 12010)


def test_list_pages_in_one_query_more(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    admin = make_account(AccountType.ADMIN)
    for _ in range(5):
        make_account()
    client = basic_client(admin)
    client.get("/6/accounts")
    for size in (1, 5):
        with django_assert_num_queries(2):  # the account that asks, and the page
            page = client.get("/6/accounts", {"page": 1, "page_size": size, "targets": "login"}).json()["accounts"]
        assert len(page) == size
        assert all(set(row) == {"login"} for row in page)
    assert client.get("/6/accounts", {"page": 7}).json() == {"accounts": []}


@pytest.mark.parametrize(
    ("name", "value"), [("page", "0"), ("page", "x"), ("page_size", "0"), ("page_size", "1001"), ("page", "1" * 30)]
)
def test_bad_paging(name: str, value: str) -> None:
    answer = basic_client(make_account(AccountType.ADMIN)).get("/6/accounts", {name: value})
    assert name in refused(answer, 400, 12012)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"login": "LOGIN", "password": PASSWORD}, None),
        ({"login": "LOGIN", "password": "wrong"}, 41006),
        ({"token": "garbled"}, 11062),
    ],
)
def test_verify_password_and_token(body: dict[str, str], code: int | None) -> None:
    account = make_account()
    body = {name: account.login if value == "LOGIN" else value for name, value in body.items()}
    answer = Client().post("/6/credentials", body, JSON)
    if code is None:
        assert answer.json() == {"account_id": str(account.pk), "account_type": "user"}
    else:
        refused(answer, 401, code)
        assert "WWW-Authenticate" in answer.headers


def test_verify_token_and_account_id(configure: Callable[..., None]) -> None:
    account = make_account()
    _, _, jwt = issue(account, permissions={"face": ["view"]})
    ours = {"account_id": str(account.pk), "account_type": "user"}
    assert Client().post("/6/credentials", {"token": jwt}, JSON).json() == {
        **ours,
        "permissions": {"face": ["view"]},
        "visibility_area": "account",
    }
    here = Client(headers={"Host": "localhost"})
    refused(here.post("/6/credentials", {"account_id": str(account.pk)}, JSON), 403, 11061)
    configure(Logins, allow_luna_account_auth_header=True)
    assert here.post("/6/credentials", {"account_id": str(account.pk)}, JSON).json() == ours
    refused(here.post("/6/credentials", {"account_id": str(uuid4())}, JSON), 401, 11065)


@pytest.mark.parametrize("body", [{}, {"login": "a@b.c"}, {"token": "a", "account_id": str(uuid4())}])
def test_verify_one_kind_at_a_time(body: dict[str, str]) -> None:
    refused(Client().post("/6/credentials", body, JSON), 400, 12016)
