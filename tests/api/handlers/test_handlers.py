"""/6/handlers: stored, listed, replaced, removed, and seen by their account alone."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.handlers.policies.filled import policies_filled
from tests.factories import basic_client, client_of, make_account, token_client

pytestmark = pytest.mark.django_db
JSON = "application/json"
POLICIES = {"extract_policy": {"extract_basic_attributes": 1}}


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


def create(client: Client, **body: Any) -> str:
    answer = client.post("/6/handlers", {"policies": POLICIES, **body}, JSON)
    assert answer.status_code == 201, answer.json()
    handler_id: str = answer.json()["handler_id"]
    return handler_id


def test_a_handler_is_kept(client: Client, account: Account) -> None:
    answer = client.post("/6/handlers", {"description": "gate", "policies": POLICIES}, JSON)
    body = answer.json()
    assert answer.headers["Location"] == body["url"] == f"/6/handlers/{body['handler_id']}"
    stored = client.get(body["url"]).json()
    assert stored["policies"] == policies_filled(POLICIES)
    assert (stored["description"], stored["handler_type"], stored["lambda_id"]) == ("gate", 0, None)
    assert stored["account_id"] == str(account.account_id)
    assert stored["create_time"].endswith("Z")


def test_replace_and_remove(client: Client) -> None:
    handler_id = create(client, description="old")
    answer = client.put(f"/6/handlers/{handler_id}", {"policies": {}, "description": "new"}, JSON)
    assert (answer.status_code, answer.content) == (204, b"")
    stored = client.get(f"/6/handlers/{handler_id}").json()
    assert (stored["description"], stored["policies"]) == ("new", policies_filled({}))
    assert stored["last_update_time"] > stored["create_time"]
    assert client.head(f"/6/handlers/{handler_id}").status_code == 200
    assert client.delete(f"/6/handlers/{handler_id}").status_code == 204
    for method in ("get", "delete"):
        answer = getattr(client, method)(f"/6/handlers/{handler_id}")
        assert (answer.status_code, answer.json()["error_code"]) == (404, 34000)
    assert client.head(f"/6/handlers/{handler_id}").status_code == 404


@pytest.mark.parametrize("body", [{"handler_type": 1}, {"is_dynamic": 1}])
def test_dynamic_handlers_have_no_policies(client: Client, body: dict[str, int]) -> None:
    answer = client.post("/6/handlers", body, JSON)
    assert answer.status_code == 201
    stored = client.get(answer.json()["url"]).json()
    assert (stored["handler_type"], stored["policies"]) == (1, None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, 12027),
        ([], 400, 12027),
        ({"policies": {}, "colour": 1}, 400, 12027),
        ({"policies": {"match_policy": [{}]}}, 400, 12027),
        ({"policies": None}, 400, 12027),
        ({"policies": {}, "description": "x" * 129}, 400, 12027),
        ({"policies": {}, "description": "\x00"}, 400, 12027),
        ({"handler_type": 3, "policies": {}}, 400, 12027),
        ({"handler_type": 1, "policies": {}}, 400, 12027),
        ({"handler_type": 2}, 400, 12027),
        ({"handler_type": 2, "lambda_id": str(uuid4())}, 403, 11072),
        ({"policies": {"match_policy": [{"label": "a", "candidates": {"account_id": str(uuid4())}}]}}, 403, 11069),
    ],
)
def test_refused_everywhere(client: Client, body: Any, status: int, code: int) -> None:
    handler_id = create(client)
    for answer in (
        client.post("/6/handlers", body, JSON),
        client.post("/6/handlers/validator", body, JSON),
        client.put(f"/6/handlers/{handler_id}", body, JSON),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert client.get("/6/handlers/count").json() == {"handlers_count": 1}


def test_the_validator_stores_nothing(client: Client) -> None:
    answer = client.post("/6/handlers/validator", {"policies": POLICIES}, JSON)
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get("/6/handlers/count").json() == {"handlers_count": 0}


def test_malformed_json(client: Client) -> None:
    assert client.post("/6/handlers", "{", JSON).json()["error_code"] == 12002
    assert client.post("/6/handlers", "{}", "text/plain").json()["error_code"] == 12017


def test_list_and_count(client: Client, django_assert_num_queries: Any) -> None:
    made = [create(client, description=text) for text in ("a", "b", "a")]
    dynamic = client.post("/6/handlers", {"handler_type": 1}, JSON).json()["handler_id"]
    with django_assert_num_queries(2):  # the account, the page
        listed = client.get("/6/handlers").json()["handlers"]
    assert [each["handler_id"] for each in listed] == [dynamic, *reversed(made)]
    found = client.get("/6/handlers?description=a&page=2&page_size=1").json()["handlers"]
    assert [each["handler_id"] for each in found] == [made[0]]
    assert client.get("/6/handlers/count?handler_type=1").json() == {"handlers_count": 1}
    assert client.get("/6/handlers?page_size=1001").json()["error_code"] == 12012
    assert client.get("/6/handlers?handler_type=7").json()["error_code"] == 12012


@pytest.mark.parametrize("handler_id", ["7", str(uuid4()), "0" * 400, "%00"])
def test_unknown_ids(client: Client, handler_id: str) -> None:
    for answer in (
        client.get(f"/6/handlers/{handler_id}"),
        client.delete(f"/6/handlers/{handler_id}"),
        client.put(f"/6/handlers/{handler_id}", {"policies": {}}, JSON),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (404, 34000)


def test_another_account_sees_nothing(client: Client) -> None:
    handler_id = create(client)
    stranger = client_of(make_account())
    assert stranger.get(f"/6/handlers/{handler_id}").json()["error_code"] == 34000
    assert stranger.head(f"/6/handlers/{handler_id}").status_code == 404
    assert stranger.put(f"/6/handlers/{handler_id}", {"policies": {}}, JSON).json()["error_code"] == 34000
    assert stranger.delete(f"/6/handlers/{handler_id}").json()["error_code"] == 34000
    assert stranger.get("/6/handlers").json() == {"handlers": []}
    assert client.get(f"/6/handlers/{handler_id}").status_code == 200


def test_an_admin_reads_but_does_not_change(client: Client, account: Account) -> None:
    handler_id = create(client)
    admin = basic_client(make_account("admin"))
    assert admin.get(f"/6/handlers/{handler_id}").status_code == 200
    assert len(admin.get(f"/6/handlers?account_id={account.account_id}").json()["handlers"]) == 1
    assert admin.delete(f"/6/handlers/{handler_id}").json()["error_code"] == 34000


def test_token_rights(account: Account, client: Client) -> None:
    handler_id = create(client)
    viewer = token_client(account, handler=["view"])
    assert viewer.get(f"/6/handlers/{handler_id}").status_code == 200
    assert viewer.get("/6/handlers/count").status_code == 200
    for answer in (
        viewer.post("/6/handlers", {"policies": {}}, JSON),
        viewer.put(f"/6/handlers/{handler_id}", {"policies": {}}, JSON),
        viewer.delete(f"/6/handlers/{handler_id}"),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (403, 11059)
