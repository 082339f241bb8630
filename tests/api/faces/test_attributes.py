"""/6/attributes and the external data of a face."""

import base64
from typing import Any
from uuid import uuid4

import numpy as np
import ormsgpack
import pytest
import redis
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account, AuditRecord
from apps.common.descriptors import DescriptorVersion, sdk_decode
from apps.common.xpk import xpk_encode
from apps.faces.attributes import KEY
from apps.faces.models import Face
from tests.api.faces.helpers import OTHER, VERSION, external, made, raw, sdk, send
from tests.api.helpers import refused
from tests.factories import basic_client, make_account, token_client, unit_vectors

Versions = dict[int, DescriptorVersion]


def test_an_attribute_comes_back(client: Client, account: Account, versions: Versions) -> None:
    samples = [str(uuid4()), str(uuid4())]
    scored = raw(versions[VERSION], 1, score=0.75)
    body = external(scored, sdk(versions[OTHER], 2), age=30, gender=1, ethnicity=4)
    body["face_descriptors"]["samples"] = samples
    body["basic_attributes"]["samples"] = samples[:1]
    key = made(client, "/6/attributes", body)
    shape = client.get(f"/6/attributes/{key}").json()
    assert shape.pop("create_time").endswith("Z")
    assert shape.pop("external_url").endswith(shape["url"])
    assert shape == {
        "attribute_id": str(key),
        "account_id": str(account.account_id),
        "basic_attributes": {"age": 30, "gender": 1, "ethnicity": 4},
        "url": f"/6/attributes/{key}",
    }
    found = client.get(f"/6/attributes/{key}?targets=face_descriptor").json()["face_descriptor"]
    assert [(item["version"], item["score"]) for item in found] == [(VERSION, 0.75), (OTHER, None)]
    again = made(client, "/6/attributes", {"face_descriptors": {"descriptors": found}})
    assert client.get(f"/6/attributes/{again}?targets=face_descriptor").json()["face_descriptor"] == found
    version, vector = sdk_decode(base64.b64decode(found[0]["data"]))
    np.testing.assert_allclose(vector, unit_vectors(1, version.dimension, 1)[0], atol=1e-6)
    assert client.get(f"/6/attributes/{key}/samples").json() == {
        "samples": [
            {"sample_id": samples[0], "type": 1},
            {"sample_id": samples[1], "type": 1},
            {"sample_id": samples[0], "type": 5},
        ]
    }
    assert client.head(f"/6/attributes/{key}").status_code == 200


def test_several(client: Client, stranger: Client) -> None:
    keys = [made(client, "/6/attributes", external(age=n)) for n in (1, 2)]
    foreign = made(stranger, "/6/attributes", external(age=3))
    ids = f"{keys[1]},{uuid4()},{foreign},{keys[0]}"
    found = client.get(f"/6/attributes?attribute_ids={ids}&targets=basic_attributes").json()["attributes"]
    assert [item["basic_attributes"]["age"] for item in found] == [2, 1]
    refused(client.get("/6/attributes"), 400, 12014)
    refused(client.get("/6/attributes?attribute_ids=x"), 400, 12012)
    refused(client.get(f"/6/attributes?attribute_ids={','.join([str(keys[0])] * 1001)}"), 400, 12012)
    refused(client.get(f"/6/attributes?attribute_ids={ids}&targets=x"), 400, 22016)


def test_gone_is_gone(client: Client, redis_client: redis.Redis) -> None:
    for removal in (
        lambda key: client.delete(f"/6/attributes/{key}"),
        lambda key: redis_client.delete(KEY.format(key)),  # as its time to live does
    ):
        key = made(client, "/6/attributes", external(age=1))
        removal(key)
        for path in (f"/6/attributes/{key}", f"/6/attributes/{key}/samples"):
            refused(client.get(path), 404, 22011)
        refused(client.delete(f"/6/attributes/{key}"), 404, 22011)
        assert client.head(f"/6/attributes/{key}").status_code == 404
        refused(send(client, "post", "/6/faces", {"attribute": {"attribute_id": str(key)}}), 404, 22011)
    refused(client.get("/6/attributes/x"), 404, 22011)
    assert not Face.objects.unscoped().exists()


def test_time_to_live(client: Client, redis_client: redis.Redis) -> None:
    key = made(client, "/6/attributes", external(age=1))
    assert 298 <= redis_client.ttl(KEY.format(key)) <= 300
    key = made(client, "/6/attributes", external(age=1) | {"ttl": 86400})
    assert 86398 <= redis_client.ttl(KEY.format(key)) <= 86400
    for ttl in (0, 86401, "x", 1.5):
        refused(send(client, "post", "/6/attributes", external(age=1) | {"ttl": ttl}), 400, 12027)


def test_others_see_nothing(client: Client, stranger: Client) -> None:
    key = made(client, "/6/attributes", external(age=1))
    for answer in (
        stranger.get(f"/6/attributes/{key}"),
        stranger.get(f"/6/attributes/{key}/samples"),
        stranger.delete(f"/6/attributes/{key}"),
        send(stranger, "post", "/6/faces", {"attribute": {"attribute_id": str(key)}}),
    ):
        refused(answer, 404, 22011)
    advanced = basic_client(make_account(AccountType.ADVANCED_USER))
    assert advanced.get(f"/6/attributes/{key}").status_code == 200
    refused(advanced.delete(f"/6/attributes/{key}"), 404, 22011)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def xpk(data: bytes) -> dict[str, Any]:
    return {"type": "xpk_file", "data": base64_of(data)}


def test_an_xpk_file_brings_all_its_descriptors(client: Client, versions: Versions) -> None:
    parts = [base64.b64decode(sdk(versions[number], 3)["data"]) for number in (VERSION, OTHER)]
    for data in (xpk_encode(parts), b"".join(parts)):
        key = made(client, "/6/attributes", external(xpk(data)))
        found = client.get(f"/6/attributes/{key}?targets=face_descriptor").json()["face_descriptor"]
        assert [item["version"] for item in found] == [VERSION, OTHER]
        assert base64.b64decode(found[0]["data"]) == parts[0]


def bad_data(versions: Versions) -> list[tuple[dict[str, Any], int, int]]:
    """(body, status, error code) of external data that is refused."""
    version = versions[VERSION]
    nan = np.full(16, np.nan, "<f4").tobytes()
    return [
        ({}, 400, 22022),
        ({"face_descriptors": {"descriptors": []}}, 400, 22022),
        ({"basic_attributes": {"attributes": {}}}, 400, 22022),
        ({"basic_attributes": {"attributes": {"age": None}}}, 400, 22022),
        ({"face_descriptors": {"samples": [str(uuid4())]}} | external(age=1), 400, 22023),
        ({"basic_attributes": {"samples": [str(uuid4())]}} | external(raw(version)), 400, 22023),
        (external(raw(version), sdk(version)), 400, 22024),
        (external(raw(version, data="***")), 400, 22012),
        (external(raw(version, data="é")), 400, 22012),
        (external(raw(version, data=base64_of(bytes(63)))), 400, 12034),
        (external(raw(version, data="")), 400, 12034),
        (external(raw(version, data=base64_of(nan))), 400, 12038),
        (external(raw(version, data=base64_of(bytes(64)))), 400, 12038),
        (external(raw(version) | {"version": 7}), 400, 12036),
        (external(sdk(version) | {"version": OTHER}), 400, 12027),
        (external(xpk(xpk_encode([base64.b64decode(sdk(version)["data"])])) | {"version": OTHER}), 400, 12027),
        (external(raw(version) | {"score": 1.1}), 400, 12027),
        (external(raw(version) | {"score": "much"}), 400, 12027),
        (external({"type": "sdk_descriptor", "data": base64_of(bytes(72))}), 400, 12038),
        (external({"type": "sdk_descriptor", "data": base64_of(b"x")}), 400, 12038),
        (external(xpk(b"")), 400, 12037),
        (external(xpk(xpk_encode([]))), 400, 12037),
        (external(xpk(b"LXPK")), 400, 12035),
        (external(xpk(b"descriptors")), 400, 12035),
        (external(xpk(xpk_encode([b"none"]))), 400, 12038),
        (external(xpk(xpk_encode([base64.b64decode(sdk(version)["data"])] * 2))), 400, 22024),
        (external({"type": "xpk_file", "data": "?"}), 400, 22012),
        (external({"type": "other", "data": ""}), 400, 12027),
        (external({"type": "raw_descriptor"}), 400, 12027),
        (external({"type": "raw_descriptor", "data": 5}), 400, 12027),
        (external(raw(version), raw(version) | {"extra": 1}), 400, 12027),
        (external(*[raw(version)] * 17), 400, 12027),
        (external(age=-1), 400, 12027),
        (external(age=151), 400, 12027),
        (external(gender=2), 400, 12027),
        (external(ethnicity=0), 400, 12027),
        (external(ethnicity=5), 400, 12027),
        ({"unknown": 1}, 400, 12027),
        ({"basic_attributes": []}, 400, 12027),
        ({"basic_attributes": {"attributes": {"age": 1}, "samples": ["x"]}}, 400, 12027),
    ]


def test_bad_data_is_refused_everywhere(client: Client, versions: Versions, redis_client: redis.Redis) -> None:
    face_id = made(client, "/6/faces")
    for body, status, code in bad_data(versions):
        refused(send(client, "post", "/6/attributes", body), status, code)
        refused(send(client, "post", "/6/faces", {"attribute": body}), status, code)
        refused(send(client, "put", f"/6/faces/{face_id}/attributes", body), status, code)
    assert Face.objects.unscoped().count() == 1
    assert not redis_client.keys("luna:attribute:*")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'"\\ud800"', b"[1, 2", b"{'a': 1}"])
def test_no_json(client: Client, body: bytes) -> None:
    for path in ("/6/attributes", "/6/faces", "/6/lists"):
        answer = client.post(path, body, content_type="application/json")
        if body:
            refused(answer, 400, 12002)
    refused(client.post("/6/attributes", b"[]", content_type="application/json"), 400, 12027)
    refused(client.post("/6/attributes", b"{}", content_type="text/plain"), 400, 12017)


def test_messagepack_both_ways(client: Client, versions: Versions) -> None:
    body = ormsgpack.packb(external(raw(versions[VERSION]), age=9))
    answer = client.post(
        "/6/attributes", body, content_type="application/msgpack", headers={"Accept": "application/msgpack"}
    )
    assert answer.status_code == 201
    key = ormsgpack.unpackb(answer.content)["attribute_id"]
    got = client.get(f"/6/attributes/{key}", headers={"Accept": "application/msgpack"})
    assert ormsgpack.unpackb(got.content)["basic_attributes"]["age"] == 9


def test_tokens_need_no_other_right(client: Client, account: Account) -> None:
    key = made(client, "/6/attributes", external(age=1))
    assert token_client(account, attribute=["view"]).get(f"/6/attributes/{key}").status_code == 200


def test_descriptors_leave_an_audit_line(client: Client, versions: Versions) -> None:
    data = external(raw(versions[VERSION]), age=1)
    key, face_id = made(client, "/6/attributes", data), made(client, "/6/faces", {"attribute": data})
    client.get(f"/6/attributes/{key}")
    client.get(f"/6/faces/{face_id}/attributes")
    assert not AuditRecord.objects.filter(action="view").exists()
    client.get(f"/6/attributes/{key}?targets=face_descriptor")
    client.get(f"/6/attributes?attribute_ids={key}&targets=face_descriptor")
    client.get(f"/6/faces/{face_id}/attributes?targets=face_descriptor")
    lines = AuditRecord.objects.filter(action="view").order_by("id").values_list("object_type", "object_id")
    assert list(lines) == [
        ("attribute_descriptor", str(key)),
        ("attribute_descriptor", str(key)),
        ("face_descriptor", str(face_id)),
    ]
