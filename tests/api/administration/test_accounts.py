"""Accounts, lists and faces over `/4`."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account, AuditRecord
from apps.accounts.services import account_close
from apps.faces.services import face_create, list_create
from apps.faces.types import FaceDraft
from tests.factories import PASSWORD, basic_client, make_account

pytestmark = pytest.mark.django_db
JSON = "application/json"
BODY = {"login": "Grace@luna.test", "password": "a long phrase", "account_type": "admin", "description": "navy"}


@pytest.fixture
def client(admin: Account) -> Client:
    return basic_client(admin)


def code(answer: Any) -> tuple[int, int]:
    return answer.status_code, answer.json()["error_code"]


def test_an_account_of_each_type_is_created(client: Client, admin: Account) -> None:
    for number, account_type in enumerate(("user", "advanced_user", "admin")):
        body = {**BODY, "login": f"a{number}@luna.test", "account_type": account_type}
        answer = client.post("/4/accounts", body, JSON)
        assert answer.status_code == 201
        account_id = answer.json()["account_id"]
        assert answer.json()["url"] == answer.headers["Location"] == f"/4/accounts/{account_id}"
        found = client.get(f"/4/accounts/{account_id}").json()
        assert (found["login"], found["account_type"]) == (body["login"], account_type)
        record = AuditRecord.objects.get(action="create", object_type="account", object_id=account_id)
        assert record.account_id == admin.pk
    assert basic_client(Account.objects.get(login="a0@luna.test")).get("/6/account").status_code == 401


def test_the_id_can_be_chosen(client: Client) -> None:
    first, second = uuid4(), uuid4()
    assert client.post("/4/accounts", {**BODY, "account_id": str(first)}, JSON).json()["account_id"] == str(first)
    other = {**BODY, "login": "ada@luna.test"}
    assert client.put(f"/4/accounts/{second}", other, JSON).status_code == 201
    assert client.get(f"/4/accounts/{second}").json()["description"] == "navy"


@pytest.mark.parametrize("method", ["post", "put"])
def test_a_taken_login_or_id(client: Client, method: str) -> None:
    account_id = str(uuid4())
    assert client.put(f"/4/accounts/{account_id}", BODY, JSON).status_code == 201
    path = "/4/accounts" if method == "post" else f"/4/accounts/{uuid4()}"
    assert code(getattr(client, method)(path, BODY, JSON)) == (409, 15013)
    body = {**BODY, "login": "other@luna.test"}
    if method == "post":
        answer = client.post("/4/accounts", {**body, "account_id": account_id}, JSON)
    else:
        answer = client.put(f"/4/accounts/{account_id}", body, JSON)
    assert code(answer) == (409, 15013)
    assert Account.objects.get(pk=account_id).login == "grace@luna.test"


@pytest.mark.parametrize(
    "changes",
    [
        {"login": "no address"},
        {"password": "short"},
        {"password": "password1"},
        {"account_type": "root"},
        {"account_type": None},
        {"account_id": "1"},
        {"description": "x" * 129},
        {"more": 1},
    ],
)
def test_bad_bodies(client: Client, changes: dict[str, Any]) -> None:
    before = Account.objects.count()
    assert code(client.post("/4/accounts", {**BODY, **changes}, JSON)) == (400, 12027)
    assert Account.objects.count() == before


def test_a_page_with_the_number_of_all(
    client: Client, admin: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    accounts = [make_account() for _ in range(3)]
    account_close(account=accounts[0])
    client.get("/4/version")
    page = client.get("/4/accounts?page_size=2&targets=login").json()
    assert page["accounts"] == [{"login": each.login} for each in (accounts[2], accounts[1])]
    assert page["account_count"] == Account.objects.filter(is_active=True).count()
    assert code(client.get("/4/accounts?targets=password")) == (400, 41010)
    assert code(client.get("/4/accounts?page=0")) == (400, 12012)


@pytest.mark.parametrize("method", ["get", "delete"])
def test_unknown_accounts(client: Client, method: str) -> None:
    closed = make_account()
    account_close(account=closed)
    for account_id in (uuid4(), "7", closed.pk):
        assert code(getattr(client, method)(f"/4/accounts/{account_id}")) == (404, 15012)
    assert code(client.put("/4/accounts/7", BODY, JSON)) == (404, 15012)


def test_an_account_is_deleted_with_its_data(client: Client, django_capture_on_commit_callbacks: Any) -> None:
    account = make_account()
    face_create(account_id=account.pk, draft=FaceDraft())
    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete(f"/4/accounts/{account.pk}").status_code == 204
    assert not Account.objects.filter(pk=account.pk).exists()
    assert client.get(f"/4/faces?account_id={account.pk}").json() == {"faces": [], "face_count": 0}


def test_the_last_administrator_stays(client: Client, admin: Account) -> None:
    Account.objects.exclude(pk=admin.pk).delete()
    assert code(client.delete(f"/4/accounts/{admin.pk}")) == (403, 12033)


def test_the_own_authorization(client: Client, admin: Account) -> None:
    taken = make_account().login
    assert code(client.patch("/4/authorization", {}, JSON)) == (400, 12005)
    assert code(client.patch("/4/authorization", {"password": "short"}, JSON)) == (400, 12027)
    assert code(client.patch("/4/authorization", {"login": taken}, JSON)) == (409, 15013)
    assert client.patch("/4/authorization", {"password": "a new and long phrase"}, JSON).status_code == 204
    assert code(client.get("/4/accounts")) == (401, 15014)
    admin.refresh_from_db()
    assert admin.check_password("a new and long phrase")
    assert PASSWORD != "a new and long phrase"


def test_lists_and_faces_of_any_account(client: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    owner, other = make_account(), make_account()
    rows = [list_create(account_id=owner.pk, user_data=f"list {number}") for number in range(3)]
    list_create(account_id=other.pk)
    for _ in range(2):
        face_create(account_id=owner.pk, draft=FaceDraft(user_data="known", lists=(rows[1].list_id,)))
    face_create(account_id=other.pk, draft=FaceDraft())
    client.get("/4/lists")

    with django_assert_max_num_queries(6):
        page = client.get(f"/4/lists?account_id={owner.pk}&page_size=2").json()
    assert page["list_count"] == 3
    shown = [(row["user_data"], row["face_count"], UUID(row["account_id"])) for row in page["lists"]]
    assert shown == [("list 2", 0, owner.pk), ("list 1", 2, owner.pk)]
    assert client.get("/4/lists").json()["list_count"] == 4
    one = client.get(f"/4/lists/{rows[1].list_id}").json()
    assert (one["face_count"], one["account_id"]) == (2, str(owner.pk))

    with django_assert_max_num_queries(6):
        found = client.get(f"/4/faces?account_id={owner.pk}&page_size=1").json()
    assert (len(found["faces"]), found["face_count"]) == (1, 2)
    assert client.get("/4/faces").json()["face_count"] == 3
    assert client.get(f"/4/faces?list_id={rows[0].list_id}").json() == {"faces": [], "face_count": 0}
    face = found["faces"][0]
    assert client.get(f"/4/faces/{face['face_id']}").json() == face
    assert client.head(f"/4/faces/{face['face_id']}").status_code == 200


def test_unknown_lists_and_faces(client: Client) -> None:
    for path, expected in (("lists", 22003), ("faces", 22002)):
        for object_id in (uuid4(), "7"):
            assert code(client.get(f"/4/{path}/{object_id}")) == (404, expected)
        assert code(client.get(f"/4/{path}?account_id=7")) == (400, 12012)
        assert client.get(f"/4/{path}?account_id={uuid4()}").json()[path] == []
    assert code(client.get("/4/faces?targets=secret")) == (400, 22016)
    assert code(client.delete(f"/4/faces/{uuid4()}")) == (405, 12021)
