"""/6/faces."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.descriptors import DescriptorVersion
from apps.faces.models import Face, FaceDescriptor
from tests.api.faces.helpers import OTHER, VERSION, external, faces_found, made, raw, sdk, send
from tests.api.helpers import refused
from tests.factories import basic_client, make_account, token_client

Versions = dict[int, DescriptorVersion]
NUL = "a\x00b"
KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"


def test_a_face_comes_back(client: Client, account: Account) -> None:
    list_id, event_id = made(client, "/6/lists"), uuid4()
    body = {
        "external_id": "é" * 36,
        "user_data": " \U0001f600" * 64,
        "avatar": "https://example.com/a.jpg",
        "event_id": str(event_id),
        "lists": [str(list_id)],
    }
    key = made(client, "/6/faces", body)
    shape = client.get(f"/6/faces/{key}").json()
    assert shape.pop("create_time").endswith("Z")
    assert shape == body | {"face_id": str(key), "account_id": str(account.account_id)}
    assert client.head(f"/6/faces/{key}").status_code == 200
    assert client.get(f"/6/faces/{key}?targets=avatar,lists").json() == {
        "avatar": body["avatar"],
        "lists": [str(list_id)],
    }


def test_an_empty_face(client: Client) -> None:
    shape = client.get(f"/6/faces/{made(client, '/6/faces')}").json()
    assert {name: shape[name] for name in ("external_id", "user_data", "avatar", "event_id", "lists")} == {
        "external_id": "",
        "user_data": "",
        "avatar": None,
        "event_id": None,
        "lists": [],
    }


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"external_id": "x" * 37}, 400, 12027),
        ({"external_id": NUL}, 400, 12027),
        ({"external_id": 5}, 400, 12027),
        ({"user_data": "x" * 129}, 400, 12027),
        ({"user_data": NUL}, 400, 12027),
        ({"avatar": "x"}, 400, 22009),
        ({"avatar": "https://h/" + "x" * 247}, 400, 22009),
        ({"avatar": NUL}, 400, 12027),
        ({"event_id": "x"}, 400, 12027),
        ({"event_id": 1}, 400, 12027),
        ({"event_id": True}, 400, 12027),
        ({"event_id": "urn:uuid:" + KEY}, 400, 12027),
        ({"lists": [KEY.replace("-", "")]}, 400, 12027),
        ({"user_data": "\U0001f600" * 129}, 400, 12027),
        ({"unknown": 1}, 400, 12027),
        ([], 400, 12027),
        ("x", 400, 12027),
        (None, 400, 12027),
        ({"a": {"b": {}}}, 400, 12027),
    ],
)
def test_bad_bodies(client: Client, body: Any, status: int, code: int) -> None:
    key = made(client, "/6/faces")
    refused(send(client, "patch", f"/6/faces/{key}", body), status, code)
    refused(send(client, "post", "/6/faces", body), status, code)
    assert Face.objects.unscoped().count() == 1


def test_bad_lists(client: Client, stranger: Client) -> None:
    mine, foreign = made(client, "/6/lists"), made(stranger, "/6/lists")
    for lists, code in (
        ([str(mine), str(uuid4())], 22005),
        ([str(foreign)], 22005),
        (["x"], 12027),
        ([str(mine)] * 1001, 12027),
    ):
        refused(send(client, "post", "/6/faces", {"lists": lists}), 400, code)
    assert not Face.objects.unscoped().exists()


def test_a_face_of_an_attribute(client: Client, versions: Versions) -> None:
    attribute_id = made(client, "/6/attributes", external(raw(versions[VERSION]), age=3))
    key = made(client, "/6/faces", {"attribute": {"attribute_id": str(attribute_id)}})
    assert client.get(f"/6/faces/{key}/attributes").json()["basic_attributes"]["age"] == 3
    answer = send(client, "post", "/6/faces", {"attribute": {"attribute_id": str(attribute_id)}})
    refused(answer, 409, 22001)
    both = {"attribute_id": str(attribute_id)} | external(age=1)
    refused(send(client, "post", "/6/faces", {"attribute": both}), 400, 12027)
    refused(send(client, "post", "/6/faces", {"attribute": {"attribute_id": "x"}}), 400, 12027)
    assert Face.objects.unscoped().count() == 1


def test_changing_a_face(client: Client, stranger: Client) -> None:
    event_id = str(uuid4())
    key = made(client, "/6/faces", {"external_id": "a", "user_data": "b", "event_id": event_id})
    assert send(client, "patch", f"/6/faces/{key}", {"external_id": "c"}).status_code == 204
    shape = client.get(f"/6/faces/{key}").json()
    assert (shape["external_id"], shape["user_data"], shape["event_id"]) == ("c", "b", event_id)
    assert send(client, "patch", f"/6/faces/{key}", {"avatar": "/6/samples/faces/x"}).status_code == 204
    assert send(client, "patch", f"/6/faces/{key}", {"avatar": ""}).status_code == 204
    assert client.get(f"/6/faces/{key}").json()["avatar"] is None
    refused(send(client, "patch", f"/6/faces/{key}", {}), 400, 12005)
    refused(send(client, "patch", f"/6/faces/{uuid4()}", {"user_data": "x"}), 404, 22002)
    refused(send(stranger, "patch", f"/6/faces/{key}", {"user_data": "x"}), 404, 22002)


def test_deleting_faces(client: Client, stranger: Client, versions: Versions) -> None:
    keys = [made(client, "/6/faces", {"attribute": external(raw(versions[VERSION]))}) for _ in range(3)]
    foreign = made(stranger, "/6/faces")
    for answer in (
        client.delete(f"/6/faces/{uuid4()}"),
        client.delete("/6/faces/x"),
        stranger.delete(f"/6/faces/{keys[0]}"),
    ):
        refused(answer, 404, 22002)
    for bad in (uuid4(), foreign):
        detail = refused(send(client, "delete", "/6/faces", {"face_ids": [str(keys[0]), str(bad)]}), 400, 22004)
        assert str(bad) in detail
    bodies: tuple[dict[str, Any], ...] = (
        {},
        {"face_ids": []},
        {"face_ids": ["x"]},
        {"face_ids": [str(keys[0])] * 1001},
    )
    for body in bodies:
        refused(send(client, "delete", "/6/faces", body), 400, 12027)
    assert client.delete(f"/6/faces/{keys[0]}").status_code == 204
    assert send(client, "delete", "/6/faces", {"face_ids": [str(key) for key in keys[1:]]}).status_code == 204
    assert faces_found(client) == []
    assert not FaceDescriptor.objects.exists()
    for key in keys:
        refused(client.get(f"/6/faces/{key}"), 404, 22002)
        assert client.head(f"/6/faces/{key}").status_code == 404


def test_filters_and_counts(client: Client, stranger: Client, versions: Versions) -> None:
    list_id, event_id = made(client, "/6/lists"), uuid4()
    a = made(client, "/6/faces", {"external_id": "1", "user_data": "x y", "lists": [str(list_id)]})
    b = made(client, "/6/faces", {"external_id": "2,3", "event_id": str(event_id), "attribute": external(age=1)})
    c = made(client, "/6/faces", {"external_id": "4", "user_data": "x y"})
    made(stranger, "/6/faces", {"external_id": "1"})
    time = client.get(f"/6/faces/{b}").json()["create_time"]
    low, high = min(a, b, c), max(a, b, c)
    for query, expected in (
        ({}, [c, b, a]),
        ({"user_data": "x y"}, [c, a]),
        ({"user_data": "x"}, []),
        ({"external_ids": "1,4"}, [c, a]),
        ({"event_id": event_id}, [b]),
        ({"event_ids": f"{event_id},{uuid4()}"}, [b]),
        ({"event_ids": str(uuid4()), "event_id": event_id}, []),
        ({"face_ids": f"{a},{b}"}, [b, a]),
        ({"list_id": list_id}, [a]),
        ({"list_id": uuid4()}, []),
        ({"create_time__gte": time}, [c, b]),
        ({"create_time__lt": time}, [a]),
        ({"create_time__gte": "now-1h"}, [c, b, a]),
        ({"create_time__lt": "now-1h"}, []),
        ({"face_id__gte": high}, [high]),
        ({"face_id__lt": low}, []),
        ({"face_id__lte": low}, [low]),
    ):
        assert faces_found(client, **query) == expected, query
        asked: dict[str, Any] = query
        assert client.get("/6/faces/count", asked).json() == {"faces_count": len(expected)}
        with_attributes = {"attributes_count": int(b in expected)}
        assert client.get("/6/faces/attributes/count", asked).json() == with_attributes


@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=x", "page=99999999999999999999", "page_size=0", "page_size=1001", "page_size=1000000000",
        "face_ids=x", "list_id=x", "event_id=1", "create_time__gte=yesterday", "create_time__lt=now-1x",
        "face_id__gte=x", "user_data=%00", "external_ids=%00", "external_ids=" + "x" * 37, "user_data=" + "x" * 129,
        "account_id=x", "event_id=urn:uuid:" + KEY, "list_id=" + KEY.replace("-", ""), "face_id__lt={" + KEY + "}",
        "create_time__lt=9999-12-31T23:59:59-01:00", "create_time__gte=0001-01-01T00:00:00%2B01:00",
        "face_ids=" + ",".join([str(UUID(int=1))] * 1001),
        "face_ids=", "event_ids=,", "external_ids=", "event_ids=null",
    ],
)  # fmt: skip
def test_bad_queries(client: Client, query: str) -> None:
    name = query.partition("=")[0]
    paths = ["/6/faces"] if name.startswith("page") else ["/6/faces", "/6/faces/count", "/6/faces/attributes/count"]
    for path in paths:
        assert name in refused(client.get(f"{path}?{query}"), 400, 12012)


def test_unknown_targets(client: Client) -> None:
    key = made(client, "/6/faces")
    for path in ("/6/faces", f"/6/faces/{key}", f"/6/faces/{key}/attributes"):
        assert '"x"' in refused(client.get(f"{path}?targets=x"), 400, 22016)


def test_pages_cost_a_fixed_number_of_queries(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    lists = [str(made(client, "/6/lists")) for _ in range(3)]
    for _ in range(2):
        made(client, "/6/faces", {"lists": lists})
    client.get("/6/faces")
    with django_assert_num_queries(2):  # the account, the faces with their lists
        assert len(faces_found(client, page_size=100)) == 2
    for _ in range(10):
        made(client, "/6/faces", {"lists": lists})
    with django_assert_num_queries(2):
        assert len(faces_found(client, page_size=100)) == 12
    with django_assert_num_queries(4):  # and the list, its links
        assert len(faces_found(client, page_size=5, page=2, list_id=lists[0])) == 5
    with django_assert_num_queries(2):
        assert len(client.get("/6/faces?targets=face_id").json()["faces"]) == 10
    assert faces_found(client, page=2) + faces_found(client, page=3) == faces_found(client, page_size=100)[10:]


def test_attributes_of_a_face(client: Client, versions: Versions) -> None:
    key = made(client, "/6/faces")
    path = f"/6/faces/{key}/attributes"
    for answer in (client.get(path), client.get(f"{path}/samples"), client.delete(path)):
        refused(answer, 400, 11032)
    assert client.head(path).status_code == 400
    samples = [str(uuid4())]
    body = external(raw(versions[VERSION]), sdk(versions[OTHER]), age=7, gender=0)
    body["face_descriptors"]["samples"] = samples
    assert send(client, "put", path, body).status_code == 204
    shape = client.get(path).json()
    assert shape.pop("create_time").endswith("Z")
    assert shape == {
        "basic_attributes": {"age": 7, "gender": 0, "ethnicity": None},
        "samples": [{"sample_id": samples[0], "type": 1}],
    }
    assert client.get(f"{path}/samples").json() == {"samples": shape["samples"]}
    assert client.head(path).status_code == 200
    descriptors = client.get(f"{path}?targets=face_descriptor").json()["face_descriptor"]
    assert [item["version"] for item in descriptors] == [VERSION, OTHER]
    attribute_id = made(client, "/6/attributes", external(sdk(versions[OTHER])))
    assert send(client, "put", path, {"attribute_id": str(attribute_id)}).status_code == 204
    assert client.get(path).json()["basic_attributes"] is None
    assert [row.version for row in FaceDescriptor.objects.all()] == [OTHER]
    other = made(client, "/6/faces")
    refused(send(client, "put", f"/6/faces/{other}/attributes", {"attribute_id": str(attribute_id)}), 409, 22001)
    assert client.delete(path).status_code == 204
    refused(client.get(path), 400, 11032)


def test_attributes_of_no_face(client: Client, stranger: Client) -> None:
    foreign = made(stranger, "/6/faces", {"attribute": external(age=1)})
    for key in (foreign, uuid4(), "x"):
        path = f"/6/faces/{key}/attributes"
        for answer in (
            client.get(path),
            client.get(f"{path}/samples"),
            client.delete(path),
            send(client, "put", path, external(age=1)),
        ):
            refused(answer, 404, 22002)
        assert client.head(path).status_code == 404


def test_others_see_nothing(client: Client, account: Account, stranger: Client) -> None:
    key = made(client, "/6/faces")
    refused(stranger.get(f"/6/faces/{key}"), 404, 22002)
    assert stranger.head(f"/6/faces/{key}").status_code == 404
    assert faces_found(stranger) == faces_found(stranger, face_ids=key) == []
    refused(stranger.get("/6/faces", {"account_id": str(account.account_id)}), 403, 11063)
    advanced = basic_client(make_account(AccountType.ADVANCED_USER))
    assert faces_found(advanced) == faces_found(advanced, account_id=account.account_id) == [key]
    assert faces_found(advanced, account_id=uuid4()) == []
    assert advanced.get(f"/6/faces/{key}").status_code == 200
    refused(advanced.delete(f"/6/faces/{key}"), 404, 22002)


def test_tokens_need_the_right_to_change_lists(client: Client, account: Account) -> None:
    list_id = made(client, "/6/lists")
    body = {"lists": [str(list_id)]}
    refused(send(token_client(account, face=["creation"]), "post", "/6/faces", body), 403, 11059)
    both = token_client(account, face=["creation"], list=["modification"])
    assert send(both, "post", "/6/faces", body).status_code == 201
