"""Access to `/4`: the password of an administrator, on every route."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.api.routes import Route, api_routes
from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.errors import LunaError
from luna.http import check
from tests.api.helpers import environ
from tests.conformance.test_permissions import answered
from tests.factories import basic_client, header_client, make_account, token_client

pytestmark = pytest.mark.django_db
ROUTES = [route for route in api_routes() if route.path.startswith("/4/") and not route.public]
WRONG = "Basic bm9ib2R5QGx1bmEudGVzdDp3cm9uZw=="


def codes(client: Client) -> set[tuple[int, int | None]]:
    return {answered(client, route) for route in ROUTES}


def test_routes_of_every_part_are_known() -> None:
    known = {route.path.split("/")[2] for route in ROUTES}
    assert known == {"accounts", "authorization", "lists", "faces", "luna_sys_info", "tasks"}
    of_tasks = [route for route in api_routes() if route.path.startswith("/6/tasks")]
    creators = {"/6/tasks/" + path.rpartition("/")[2] for path in (each.path for each in of_tasks)}
    for route in of_tasks:
        if not (route.method == "POST" and route.path in creators and route.path != "/6/tasks/schedules"):
            assert (route.method, route.path.replace("/6/", "/4/")) in {(each.method, each.path) for each in ROUTES}


def test_no_credentials_and_wrong_ones() -> None:
    assert codes(Client()) == {(401, 15014)}
    assert Client().get("/4/luna_sys_info").headers["WWW-Authenticate"] == "Basic realm='login:password'"
    wrong = Client(headers={"Authorization": WRONG}).get("/4/accounts")
    assert (wrong.status_code, wrong.json()["error_code"]) == (401, 15014)
    assert wrong.json()["detail"] == "Login or password is incorrect"


@pytest.mark.parametrize("account_type", [AccountType.USER, AccountType.ADVANCED_USER])
def test_accounts_of_other_types(account_type: str) -> None:
    assert codes(basic_client(make_account(account_type))) == {(403, 15015)}


@pytest.mark.usefixtures("account_header")
def test_other_credentials_of_an_administrator(admin: Account) -> None:
    assert codes(token_client(admin, task=["view", "creation"], face=["view"])) == {(403, 11064)}
    assert codes(header_client(admin)) == {(403, 12010)}


def test_a_deactivated_administrator(admin: Account) -> None:
    admin.is_active = False
    admin.save()
    answer = basic_client(admin).get("/4/accounts")
    assert (answer.status_code, answer.json()["error_code"]) == (401, 15014)


@pytest.mark.parametrize("authorization", ["", WRONG])
def test_a_large_body_is_refused_before_it_arrives(authorization: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "close_old_connections", lambda: None)
    extra: dict[str, Any] = {"authorization": authorization} if authorization else {}
    with pytest.raises(LunaError) as caught:
        check.check_request(environ("POST", "/4/accounts", **extra))
    assert (caught.value.code, caught.value.status) == (15014, 401)


def test_public_resources() -> None:
    public: list[Route] = [each for each in api_routes() if each.path.startswith("/4/") and each.public]
    assert {each.path for each in public} == {"/4/version", "/4/healthcheck"}
    assert Client().get("/4/version").json() == {"Version": {"api": 4, "major": 5, "minor": 67, "patch": 0}}
    assert Client().get("/4/healthcheck").status_code == 200
