"""/6/tokens: contents, permissions and replacement of tokens."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.auth.permissions import OBJECT_RIGHTS, RESOURCES, all_permissions
from apps.accounts.choices import AccountType
from apps.accounts.config import Logins, Registration
from apps.accounts.models import Account, AuditRecord, Token
from apps.common.times import utc_now
from tests.api.accounts.helpers import JSON, issue
from tests.api.helpers import refused
from tests.factories import basic_client, header_client, make_account

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(account: Account) -> Client:
    return basic_client(account)


def test_create_and_read(account: Account, client: Client) -> None:
    body = {
        "description": "scanner at the door",
        "expiration_time": "2030-01-01T03:00:00+03:00",
        "permissions": {"face": ["creation", "view"], "emit_events": {"allowed": 1}},
        "visibility_area": "account",
    }
    answer = client.post("/6/tokens", body, JSON)
    made = answer.json()
    assert answer.status_code == 201
    assert set(made) == {"token_id", "token", "url", "external_url"}
    assert answer.headers["Location"] == made["url"] == f"/6/tokens/{made['token_id']}"
    stored = client.get(made["url"]).json()
    assert stored | body == stored | {
        "description": "scanner at the door",
        "expiration_time": "2030-01-01T03:00:00+03:00",
        "permissions": {"face": ["creation", "view"], "emit_events": {"allowed": 1}},
        "visibility_area": "account",
    }
    assert stored["expiration_time"] == "2030-01-01T00:00:00.000000Z"
    assert stored["permissions"]["emit_events"] == {"allowed": 1, "white_list": [], "black_list": []}
    assert stored["account_id"] == str(account.pk)
    assert "token" not in stored
    assert client.head(made["url"]).status_code == 200
    assert AuditRecord.objects.filter(action="create", object_type="token", object_id=made["token_id"]).exists()


def test_jwt_is_not_stored(account: Account) -> None:
    token_id, _, jwt = issue(account, permissions={"face": ["view"]})
    row = Token.objects.unscoped().filter(token_id=token_id).values().get()
    assert jwt.rpartition(".")[2] not in str(row)


@pytest.mark.usefixtures("account_header")
def test_the_account_header_creates_and_changes_no_token(account: Account) -> None:
    """Such a token would outlive the header, which contains no secret."""
    token_id, limited, _ = issue(account, permissions={"face": ["view"]})
    client = header_client(account)
    refused(client.post("/6/tokens", {"permissions": {}}, JSON), 403, 12010)
    refused(client.post("/6/tokens?grant_all_permissions=1", {}, JSON), 403, 12010)
    refused(client.put(f"/6/tokens/{token_id}?grant_all_permissions=1", {}, JSON), 403, 12010)
    assert limited.get("/6/faces").status_code == 200
    refused(limited.get("/6/lists"), 403, 11059)
    assert client.get(f"/6/tokens/{token_id}").status_code == 200
    assert Token.objects.for_account(account.pk).count() == 1


def test_tokens_that_the_header_created_end_with_it(account: Account, configure: Callable[..., None]) -> None:
    """Older releases let the header create tokens. The owner keeps one by replacing it with the password."""
    token_id, old, jwt = issue(account, permissions={"face": ["view"]})
    Token.objects.unscoped().update(by_password=False)
    refused(old.get("/6/faces"), 401, 41005)
    refused(Client().post("/6/credentials", {"token": jwt}, JSON), 401, 41005)
    configure(Logins, allow_luna_account_auth_header=True)
    assert old.get("/6/faces").status_code == 200
    body = {"permissions": {"face": ["view"], "token": ["modification"]}}
    assert basic_client(account).put(f"/6/tokens/{token_id}", body, JSON).status_code == 204
    configure(Logins, allow_luna_account_auth_header=False)
    assert old.get("/6/faces").status_code == 200


def test_a_token_without_password_does_not_confirm_itself(account: Account, configure: Callable[..., None]) -> None:
    token_id, old, _ = issue(account, permissions={"token": ["modification"]})
    Token.objects.unscoped().update(by_password=False)
    configure(Logins, allow_luna_account_auth_header=True)
    assert old.put(f"/6/tokens/{token_id}", {"permissions": {"token": ["modification"]}}, JSON).status_code == 204
    configure(Logins, allow_luna_account_auth_header=False)
    refused(old.get("/6/tokens"), 401, 41005)


def test_token_makes_no_token(account: Account) -> None:
    _, token, _ = issue(account, permissions={"token": ["view", "modification", "deletion"]})
    refused(token.post("/6/tokens", {"permissions": {}}, JSON), 403, 11064)


def test_grant_all_permissions(account: Account, client: Client) -> None:
    made = client.post("/6/tokens?grant_all_permissions=1", {}, JSON).json()
    assert client.get(made["url"]).json()["permissions"] == all_permissions()
    assert set(all_permissions()) == {*OBJECT_RIGHTS, "resources", "emit_events"}
    assert all_permissions()["resources"] == list(RESOURCES)
    refused(client.post("/6/tokens?grant_all_permissions=2", {}, JSON), 400, 12012)
    put = client.put(f"{made['url']}?grant_all_permissions=0", {"permissions": {"face": ["view"]}}, JSON)
    assert put.status_code == 204
    assert client.get(made["url"]).json()["permissions"] == {"face": ["view"]}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "permissions"),
        ({"permissions": None}, "permissions"),
        ({"permissions": {"face": ["fly"]}}, "permissions.face.0"),
        ({"permissions": {"face": "view"}}, "permissions.face"),
        ({"permissions": {"face": ["view"] * 6}}, "permissions.face"),
        ({"permissions": {"image": ["modification"]}}, "permissions.image.0"),
        ({"permissions": {"ghost": ["view"]}}, "permissions.ghost"),
        ({"permissions": {"resources": ["detector"]}}, "permissions.resources.0"),
        ({"permissions": {"emit_events": {}}}, "permissions.emit_events.allowed"),
        ({"permissions": {"emit_events": {"allowed": 2}}}, "permissions.emit_events.allowed"),
        ({"permissions": {"emit_events": {"allowed": 1, "white_list": ["x"]}}}, "permissions.emit_events.white_list.0"),
        (
            {"permissions": {"emit_events": {"allowed": 1, "black_list": [str(uuid4()) for _ in range(101)]}}},
            "permissions.emit_events.black_list",
        ),
        (
            {"permissions": {"handler": ["creation"], "emit_events": {"allowed": 1, "white_list": [str(uuid4())]}}},
            "permissions.emit_events",
        ),
        ({"permissions": {}, "description": "x" * 129}, "description"),
        ({"permissions": {}, "expiration_time": "tomorrow"}, "expiration_time"),
        ({"permissions": {}, "visibility_area": "world"}, "visibility_area"),
        ({"permissions": {}, "token_id": str(uuid4())}, "token_id"),
    ],
)
def test_bad_bodies(client: Client, body: dict[str, Any], path: str) -> None:
    assert f"Path: '{path}'" in refused(client.post("/6/tokens", body, JSON), 400, 12027)
    assert not Token.objects.unscoped().exists()


def test_visibility_of_all_accounts(client: Client) -> None:
    body = {"permissions": {}, "visibility_area": "all"}
    refused(client.post("/6/tokens", body, JSON), 400, 41009)
    advanced = make_account(AccountType.ADVANCED_USER)
    assert basic_client(advanced).post("/6/tokens", body, JSON).status_code == 201


def test_downgraded_account_loses_sight(configure: Callable[..., None]) -> None:
    configure(Registration, open_advanced=True)
    account, other = make_account(AccountType.ADVANCED_USER), make_account()
    _, all_seeing, _ = issue(account, permissions={"event": ["view"]}, visibility_area="all")
    _, narrow, _ = issue(account, permissions={"event": ["view"]}, visibility_area="account")
    query = {"account_id": str(other.pk)}
    assert all_seeing.get("/6/events", query).status_code == 200
    refused(narrow.get("/6/events", query), 403, 11063)
    assert narrow.get("/6/events", {"account_id": str(account.pk)}).status_code == 200
    assert basic_client(account).patch("/6/account", {"account_type": "user"}, JSON).status_code == 204
    refused(all_seeing.get("/6/events", query), 403, 11063)
    refused(all_seeing.get("/6/events", {"account_id": "7"}), 400, 12012)


def test_list_and_count(account: Account, client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    made = [issue(account)[0] for _ in range(4)]
    issue(make_account())
    client.get("/6/tokens")
    for size in (1, 4):
        with django_assert_num_queries(2):
            page = client.get("/6/tokens", {"page_size": size}).json()["tokens"]
        assert len(page) == size
    assert {UUID(row["token_id"]) for row in page} == set(made)
    assert client.get("/6/tokens/count").json() == {"tokens_count": 4}
    refused(client.get("/6/tokens", {"page_size": 10**9}), 400, 12012)


@pytest.mark.parametrize("token_id", ["7", str(uuid4()), "%00", "..%2Faccount"])
@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_unknown_token(client: Client, token_id: str, method: str) -> None:
    answer = getattr(client, method)(f"/6/tokens/{token_id}", {"permissions": {}}, content_type=JSON)
    assert answer.status_code == 404
    assert answer.json()["error_code"] in (41003, 12013)


def test_tokens_of_others_are_unknown(account: Account) -> None:
    token_id, _, _ = issue(account)
    for other in (make_account(), make_account(AccountType.ADMIN)):
        intruder = basic_client(other)
        refused(intruder.get(f"/6/tokens/{token_id}"), 404, 41003)
        refused(intruder.put(f"/6/tokens/{token_id}", {"permissions": {}}, JSON), 404, 41003)
        refused(intruder.delete(f"/6/tokens/{token_id}"), 404, 41003)
        assert intruder.get("/6/tokens").json() == {"tokens": []}
    assert Token.objects.for_account(account.pk).count() == 1


def test_rights_on_tokens(account: Account) -> None:
    target, _, _ = issue(account)
    path = f"/6/tokens/{target}"
    _, none, _ = issue(account)
    for method in ("get", "put", "delete"):
        answer = getattr(none, method)(path, {"permissions": {}}, content_type=JSON)
        assert "token" in refused(answer, 403, 11059)
    _, viewer, _ = issue(account, permissions={"token": ["view"]})
    assert viewer.get(path).status_code == viewer.head(path).status_code == viewer.get("/6/tokens").status_code == 200
    refused(viewer.delete(path), 403, 11059)
    _, remover, _ = issue(account, permissions={"token": ["deletion"]})
    assert remover.delete(path).status_code == 204


def test_log_names_the_account_that_creates_and_deletes_a_token(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "apps.accounts.services"):
        token_id, _, _ = issue(account, permissions={})
        basic_client(account).delete(f"/6/tokens/{token_id}")
    lines = [record.getMessage() for record in caplog.records if record.name == "apps.accounts.services"]
    assert lines == [
        f"User with account_id: '{account.pk}' {verb} token: '{token_id}'" for verb in ("create", "delete")
    ]


def test_token_does_not_outlive_itself(account: Account) -> None:
    """Who may change tokens could make of an hour for ever otherwise."""
    soon, sooner, later = ((utc_now() + timedelta(minutes=n)).isoformat() for n in (60, 30, 90))
    rights = {"token": ["modification"]}
    other, _, _ = issue(account, permissions={})
    own, client, _ = issue(account, permissions=rights, expiration_time=soon)
    for token_id in (own, other):
        for time in (None, later):
            body = {"permissions": rights, "expiration_time": time}
            refused(client.put(f"/6/tokens/{token_id}", body, JSON), 403, 11059)
    for time in (soon, sooner):
        body = {"permissions": rights, "expiration_time": time}
        assert client.put(f"/6/tokens/{own}", body, JSON).status_code == 204
    assert basic_client(account).put(f"/6/tokens/{own}", {"permissions": rights}, JSON).status_code == 204


def test_token_grants_nothing_that_it_lacks(account: Account) -> None:
    own = {"token": ["modification"], "face": ["view"]}
    token_id, token, _ = issue(account, permissions=own)
    path = f"/6/tokens/{token_id}"
    assert token.put(path, {"permissions": own}, JSON).status_code == 204
    refused(token.put(path, {"permissions": {**own, "face": ["view", "deletion"]}}, JSON), 403, 11059)
    refused(token.put(path, {"permissions": {**own, "emit_events": {"allowed": 1}}}, JSON), 403, 11059)
    refused(token.put(f"{path}?grant_all_permissions=1", {}, JSON), 403, 11059)


@pytest.mark.parametrize("right", ["creation", "modification"])
@pytest.mark.parametrize("lists", [{}, {"white_list": [str(uuid4())]}, {"black_list": [str(uuid4())]}])
def test_events_and_writing_handlers_exclude_each_other(client: Client, right: str, lists: dict[str, Any]) -> None:
    """With lists or without: such a token could generate events by any policies."""
    permissions = {"emit_events": {"allowed": 1, **lists}, "handler": ["view", right]}
    refused(client.post("/6/tokens", {"permissions": permissions}, JSON), 400, 12027)
    url = client.post("/6/tokens", {"permissions": {}}, JSON).json()["url"]
    refused(client.put(url, {"permissions": permissions}, JSON), 400, 12027)
    for granted in ({**permissions, "handler": ["view", "deletion"]}, {"handler": ["view", right]}):
        assert client.post("/6/tokens", {"permissions": granted}, JSON).status_code == 201
