"""/6/samples/faces and /6/samples/bodies."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account, AuditRecord
from apps.imagestore.models import StoredObject
from tests.api.helpers import refused
from tests.api.imagestore.helpers import picture, png_header, post, stored
from tests.factories import basic_client, make_account, token_client
from tests.storages import stored_names

KINDS = [("faces", (250, 250), "face_sample"), ("bodies", (128, 250), "body_sample")]


@pytest.mark.parametrize(("kind", "size", "_right"), KINDS)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_sample_comes_back(client: Client, kind: str, size: tuple[int, int], _right: str, form: str) -> None:
    data = picture(size, form)
    answer = post(client, f"/6/samples/{kind}", data, f"image/{form.lower()}")
    assert answer.status_code == 201
    body = answer.json()
    assert body["url"] == f"/6/samples/{kind}/{body['sample_id']}" == answer.headers["Location"]
    assert body["external_url"].endswith(body["url"])
    assert set(body) == {"sample_id", "url", "external_url"}
    got = client.get(body["url"])
    assert (got.status_code, got.headers["Content-Type"]) == (200, f"image/{form.lower()}")
    assert got.getvalue() == data
    head = client.head(body["url"])
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(data))
    assert "X-Luna-Expiry-Date" not in head.headers


def test_a_sample_is_deleted(client: Client, django_capture_on_commit_callbacks: Any) -> None:
    path = f"/6/samples/faces/{stored(client, '/6/samples/faces', picture())}"
    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete(path).status_code == 204
    refused(client.get(path), 404, 13003)
    assert client.head(path).status_code == 404
    refused(client.delete(path), 404, 13003)
    assert stored_names() == []


def test_samples_are_deleted_together(client: Client, stranger: Client) -> None:
    keys = [str(stored(client, "/6/samples/faces", picture())) for _ in range(3)]
    foreign = str(stored(stranger, "/6/samples/faces", picture()))
    for ids in ([*keys, str(uuid4())], [*keys, foreign]):
        refused(client.delete("/6/samples/faces", {"sample_ids": ids}, content_type="application/json"), 400, 11020)
    assert StoredObject.objects.unscoped().count() == 4
    answer = client.delete("/6/samples/faces", {"sample_ids": keys}, content_type="application/json")
    assert answer.status_code == 204
    assert StoredObject.objects.unscoped().count() == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 12027),
        ({"sample_ids": []}, 12027),
        ({"sample_ids": ["x"]}, 12027),
        ({"sample_ids": ["../../etc/passwd"]}, 12027),
        ({"sample_ids": [str(uuid4())] * 1001}, 13004),
        ({"ids": []}, 12027),
        ([], 12027),
    ],
)
def test_bad_bulk_deletes(client: Client, body: object, code: int) -> None:
    refused(client.delete("/6/samples/faces", body, content_type="application/json"), 400, code)


@pytest.mark.parametrize(
    ("data", "content_type", "status", "code"),
    [
        (picture((250, 251)), "image/jpeg", 400, 11030),
        (picture((128, 250)), "image/jpeg", 400, 11030),
        (b"", "image/jpeg", 400, 12030),
        (b"a text file called .jpg", "image/jpeg", 400, 12025),
        (picture(), "image/png", 400, 12025),
        (picture(), "text/plain", 400, 12017),
        (picture(), "application/json", 400, 12017),
        (picture(form="BMP"), "image/bmp", 400, 12017),
        (picture()[:2000], "image/jpeg", 400, 12025),
        (picture(form="PNG")[:2000], "image/png", 400, 12025),
        (png_header(60_000, 60_000), "image/png", 400, 12025),
        (bytes(17 * 1024**2), "image/jpeg", 413, 37003),
    ],
)
def test_what_is_no_sample_is_refused(client: Client, data: bytes, content_type: str, status: int, code: int) -> None:
    refused(post(client, "/6/samples/faces", data, content_type), status, code)
    assert not StoredObject.objects.unscoped().exists()
    assert stored_names() == []


@pytest.mark.parametrize(
    "sample_id", ["x", "..", "..%2f..%2fetc%2fpasswd", "%2e%2e", "a%00b", "00000000-0000-4000-8000-00000000000"]
)
@pytest.mark.parametrize("kind", ["samples/faces", "samples/bodies", "images", "objects"])
def test_an_id_is_no_path(client: Client, kind: str, sample_id: str) -> None:
    for answer in (client.get(f"/6/{kind}/{sample_id}"), client.delete(f"/6/{kind}/{sample_id}")):
        assert answer.status_code == 404
        assert answer.json()["error_code"] in (13003, 13007, 12013)


def test_ids_are_the_same_in_either_case(client: Client) -> None:
    key = stored(client, "/6/samples/faces", picture())
    shouted = str(key).upper()
    assert client.get(f"/6/samples/faces/{shouted}").status_code == 200
    body = {"sample_ids": [shouted, str(key)], "ttl": 7}
    assert client.put("/6/samples/faces", body, content_type="application/json").status_code == 204
    assert "X-Luna-Expiry-Date" in client.head(f"/6/samples/faces/{key}").headers
    assert client.delete(f"/6/samples/faces/{shouted}").status_code == 204
    refused(client.get(f"/6/samples/faces/{key}"), 404, 13003)


@pytest.mark.parametrize("ttl", ["1", "365", "-1"])
def test_time_to_live(client: Client, ttl: str) -> None:
    key = stored(client, f"/6/samples/faces?ttl={ttl}", picture())
    head = client.head(f"/6/samples/faces/{key}")
    assert ("X-Luna-Expiry-Date" in head.headers) == (ttl != "-1")


@pytest.mark.parametrize("ttl", ["0", "8", "-2", "x", "1.5", "1e0", "%00"])
def test_bad_time_to_live(client: Client, ttl: str) -> None:
    assert "ttl" in refused(post(client, f"/6/samples/faces?ttl={ttl}", picture()), 400, 12012)


@pytest.mark.parametrize(("kind", "size", "right"), KINDS)
def test_others_see_nothing(client: Client, stranger: Client, kind: str, size: tuple[int, int], right: str) -> None:
    path = f"/6/samples/{kind}/{stored(client, f'/6/samples/{kind}', picture(size))}"
    for answer in (stranger.get(path), stranger.delete(path)):
        refused(answer, 404, 13003)
    assert stranger.head(path).status_code == 404
    advanced = basic_client(make_account(AccountType.ADVANCED_USER))
    assert advanced.get(path).status_code == 200
    refused(advanced.delete(path), 404, 13003)
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(("kind", "size", "right"), KINDS)
def test_tokens_need_the_right(client: Client, account: Account, kind: str, size: tuple[int, int], right: str) -> None:
    key = stored(client, f"/6/samples/{kind}", picture(size))
    path = f"/6/samples/{kind}/{key}"
    json = {"content_type": "application/json"}
    for method, url, body, needed in (
        ("post", f"/6/samples/{kind}", {"data": picture(size), "content_type": "image/jpeg"}, "creation"),
        ("get", path, {}, "view"),
        ("head", path, {}, "view"),
        ("delete", f"/6/samples/{kind}", {"data": {"sample_ids": [str(key)]}, **json}, "deletion"),
        ("delete", path, {}, "deletion"),
    ):
        others = [name for name in ("creation", "view", "deletion") if name != needed]
        answer = getattr(token_client(account, **{right: others}), method)(url, **body)
        assert answer.status_code == 403
        if method != "head":
            refused(answer, 403, 11059)
    assert token_client(account, **{right: ["deletion"]}).delete(path).status_code == 204


def test_reading_leaves_an_audit_line(client: Client, account: Account) -> None:
    key = stored(client, "/6/samples/faces", picture())
    client.head(f"/6/samples/faces/{key}")
    client.get(f"/6/samples/faces/{uuid4()}")
    assert not AuditRecord.objects.filter(action="view").exists()
    client.get(f"/6/samples/faces/{key}")
    (line,) = AuditRecord.objects.filter(action="view")
    assert (line.object_type, line.object_id) == ("face_sample", str(key))
    assert line.account_id == line.object_account_id == account.account_id
