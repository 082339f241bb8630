"""/6/lists."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.faces.models import Face, List
from tests.api.faces.helpers import faces_found, made, send
from tests.api.helpers import refused
from tests.factories import basic_client, ids, make_account, token_client


def found(client: Client, **query: Any) -> list[UUID]:
    answer = client.get("/6/lists", query)
    assert answer.status_code == 200, answer.content
    return ids(answer.json()["lists"], "list_id")


def test_a_list_comes_back(client: Client, account: Account) -> None:
    key = made(client, "/6/lists", {"user_data": "é" * 128})
    shape = client.get(f"/6/lists/{key}").json()
    assert shape.pop("create_time").endswith("Z")
    assert shape.pop("last_update_time").endswith("Z")
    assert shape == {"list_id": str(key), "account_id": str(account.account_id), "user_data": "é" * 128}
    assert client.head(f"/6/lists/{key}").status_code == 200
    assert send(client, "patch", f"/6/lists/{key}", {"user_data": "new"}).status_code == 204
    assert client.get(f"/6/lists/{key}").json()["user_data"] == "new"


@pytest.mark.parametrize("body", [{"user_data": "x" * 129}, {"user_data": "\x00"}, {"user_data": 1}, {"x": 1}, []])
def test_bad_bodies(client: Client, body: Any) -> None:
    key = made(client, "/6/lists")
    refused(send(client, "post", "/6/lists", body), 400, 12027)
    refused(send(client, "patch", f"/6/lists/{key}", body), 400, 12027)
    refused(send(client, "patch", f"/6/lists/{key}", {}), 400, 12027)
    assert List.objects.unscoped().count() == 1


def test_filters_and_counts(client: Client, stranger: Client) -> None:
    a, b = made(client, "/6/lists", {"user_data": "a"}), made(client, "/6/lists", {"user_data": "b"})
    made(stranger, "/6/lists", {"user_data": "a"})
    time = client.get(f"/6/lists/{b}").json()["create_time"]
    for query, expected in (
        ({}, [b, a]),
        ({"user_data": "a"}, [a]),
        ({"list_ids": f"{a},{uuid4()}"}, [a]),
        ({"create_time__gte": time}, [b]),
        ({"create_time__lt": time}, [a]),
        ({"create_time__gte": "now-1d"}, [b, a]),
    ):
        assert found(client, **query) == expected, query
        assert client.get("/6/lists/count", query).json() == {"lists_count": len(expected)}
    assert found(client, page_size=1, page=2) == [a]
    for wrong in (
        "page=0",
        "page_size=1001",
        "user_data=%00",
        "create_time__gte=x",
        "account_id=x",
        "list_ids=x",
        "list_ids=",
        "list_ids=null",
    ):
        assert wrong.partition("=")[0] in refused(client.get(f"/6/lists?{wrong}"), 400, 12012)


def test_pages_cost_a_fixed_number_of_queries(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for expected in (1, 12):
        while List.objects.unscoped().count() < expected:
            made(client, "/6/lists")
        with django_assert_num_queries(2):  # the account, the lists
            assert len(found(client, page_size=100)) == expected


def test_attach_and_detach(client: Client) -> None:
    key = made(client, "/6/lists")
    faces = [made(client, "/6/faces") for _ in range(3)]

    def change(action: str, *face_ids: UUID) -> None:
        body = {"action": action, "face_ids": [str(face_id) for face_id in face_ids]}
        assert send(client, "patch", f"/6/lists/{key}/faces", body).status_code == 204

    change("attach", *faces)
    change("attach", faces[0])
    assert faces_found(client, list_id=key) == faces[::-1]
    change("detach", faces[1], faces[2])
    change("detach", faces[1])
    assert faces_found(client, list_id=key) == [faces[0]]
    assert client.get(f"/6/faces/{faces[0]}").json()["lists"] == [str(key)]


def test_bad_attachments(client: Client, stranger: Client) -> None:
    key, foreign_list = made(client, "/6/lists"), made(stranger, "/6/lists")
    mine, foreign = str(made(client, "/6/faces")), str(made(stranger, "/6/faces"))
    for action in ("attach", "detach"):
        for path, faces, status, code in (
            (key, [mine, foreign], 400, 22004),
            (key, [mine, str(uuid4())], 400, 22004),
            (foreign_list, [mine], 404, 22003),
            (uuid4(), [mine], 404, 22003),
            ("x", [mine], 404, 22003),
            (key, [], 400, 12027),
            (key, ["x"], 400, 12027),
            (key, [mine] * 1001, 400, 12027),
            (key, mine, 400, 12027),
        ):
            answer = send(client, "patch", f"/6/lists/{path}/faces", {"action": action, "face_ids": faces})
            refused(answer, status, code)
    bodies: tuple[Any, ...] = ({"action": "x", "face_ids": [mine]}, {"face_ids": [mine]}, {"action": "attach"}, {}, [])
    for body in bodies:
        refused(send(client, "patch", f"/6/lists/{key}/faces", body), 400, 12027)
    assert faces_found(client, list_id=key) == []


def test_deleting_lists(client: Client, stranger: Client) -> None:
    keys = [made(client, "/6/lists") for _ in range(3)]
    foreign = made(stranger, "/6/lists")
    for answer in (
        client.delete(f"/6/lists/{foreign}"),
        client.delete(f"/6/lists/{uuid4()}"),
        client.delete("/6/lists/x"),
    ):
        refused(answer, 404, 22003)
    for bad in (uuid4(), foreign):
        detail = refused(send(client, "delete", "/6/lists", {"list_ids": [str(keys[0]), str(bad)]}), 400, 22005)
        assert str(bad) in detail
    bodies: tuple[Any, ...] = ({}, {"list_ids": []}, {"list_ids": ["x"]}, {"list_ids": [str(keys[0])] * 1001})
    for body in bodies:
        refused(send(client, "delete", "/6/lists", body), 400, 12027)
    refused(client.delete(f"/6/lists/{keys[0]}?with_faces=2"), 400, 12012)
    assert client.delete(f"/6/lists/{keys[0]}").status_code == 204
    assert send(client, "delete", "/6/lists", {"list_ids": [str(key) for key in keys[1:]]}).status_code == 204
    assert found(client) == []
    refused(client.get(f"/6/lists/{keys[0]}"), 404, 22003)
    assert client.head(f"/6/lists/{keys[0]}").status_code == 404
    refused(send(client, "patch", f"/6/lists/{keys[0]}", {"user_data": "x"}), 404, 22003)


@pytest.mark.parametrize("bulk", [False, True])
def test_deleting_lists_with_faces(client: Client, account: Account, bulk: bool) -> None:
    first, second = str(made(client, "/6/lists")), str(made(client, "/6/lists"))
    made(client, "/6/faces", {"lists": [first, second]})
    stays = made(client, "/6/faces", {"lists": [second]})
    path = f"/6/lists{'' if bulk else '/' + first}?with_faces="
    body = {"list_ids": [first]} if bulk else {}
    refused(send(token_client(account, list=["deletion"]), "delete", path + "1", body), 403, 11059)
    assert Face.objects.unscoped().count() == 2
    both = token_client(account, list=["deletion"], face=["deletion"])
    assert send(both, "delete", path + "1", body).status_code == 204
    assert faces_found(client) == [stays]


def test_others_see_nothing(client: Client, stranger: Client, account: Account) -> None:
    key = made(client, "/6/lists")
    refused(stranger.get(f"/6/lists/{key}"), 404, 22003)
    refused(send(stranger, "patch", f"/6/lists/{key}", {"user_data": "x"}), 404, 22003)
    assert stranger.head(f"/6/lists/{key}").status_code == 404
    assert found(stranger) == []
    refused(stranger.get("/6/lists", {"account_id": str(account.account_id)}), 403, 11063)
    advanced = basic_client(make_account(AccountType.ADVANCED_USER))
    assert found(advanced) == found(advanced, account_id=account.account_id) == [key]
