"""/6/objects: bytes of any type, ranges, conditional requests."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.imagestore.models import StoredObject
from tests.api.helpers import refused
from tests.api.imagestore.helpers import picture, post, stored
from tests.factories import token_client, token_without

DATA = bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [
        ("application/zip", ".zip"),
        ("application/json", ".json"),
        ("text/html; charset=utf-8", ".html"),
        ("application/x-unheard-of", ".bin"),
        ("multipart/form-data; boundary=x", ".bin"),
        ("application/msgpack", ".bin"),
    ],
)
def test_an_object_comes_back(client: Client, content_type: str, extension: str) -> None:
    answer = post(client, "/6/objects", DATA, content_type)
    assert answer.status_code == 201, answer.content
    key = answer.json()["object_id"]
    got = client.get(f"/6/objects/{key}")
    assert got.getvalue() == DATA
    assert got.headers["Content-Type"] == content_type
    assert got.headers["Content-Disposition"] == f'attachment; filename="{key}{extension}"'
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    head = client.head(f"/6/objects/{key}")
    assert head.headers["Content-Length"] == str(len(DATA))
    assert client.delete(f"/6/objects/{key}").status_code == 204
    refused(client.get(f"/6/objects/{key}"), 404, 13007)
    refused(client.delete(f"/6/objects/{key}"), 404, 13007)


@pytest.mark.parametrize(
    ("content_type", "data", "code"),
    [("text/plain", b"", 12030), ("x" * 129, b"x", 12017), ("text", b"x", 12017), ("a/\u4e2d", b"x", 12017)],
)
def test_bad_objects(client: Client, content_type: str, data: bytes, code: int) -> None:
    answer = client.generic("POST", "/6/objects", data, content_type="a/b", CONTENT_TYPE=content_type)
    refused(answer, 400, code)
    assert not StoredObject.objects.unscoped().exists()


def test_a_body_that_ends_early_is_not_stored(client: Client) -> None:
    body: dict[str, Any] = {"CONTENT_LENGTH": "10", "wsgi.input": io.BytesIO(b"short")}
    answer = client.generic("POST", "/6/objects", b"short", content_type="a/b", **body)
    refused(answer, 400, 12046)
    assert not StoredObject.objects.unscoped().exists()


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=10-19", slice(10, 20)),
        ("bytes=1000-", slice(1000, None)),
        ("bytes=-24", slice(1000, None)),
        ("bytes=1000-99999", slice(1000, None)),
        ("bytes=-99999", slice(0, None)),
    ],
)
def test_ranges(client: Client, header: str, part: slice) -> None:
    path = f"/6/objects/{stored(client, '/6/objects', DATA, 'a/b')}"
    got = client.get(path, headers={"Range": header})
    first, last, _ = part.indices(len(DATA))
    whole = (first, last) == (0, len(DATA))
    assert got.status_code == (200 if whole else 206)
    assert got.getvalue() == DATA[part]
    assert got.headers["Content-Length"] == str(last - first)
    if not whole:
        assert got.headers["Content-Range"] == f"bytes {first}-{last - 1}/{len(DATA)}"


@pytest.mark.parametrize("header", ["bytes=0-1,4-5", "lines=1-2", "bytes=", "bytes=-", "x"])
def test_other_ranges_get_everything(client: Client, header: str) -> None:
    path = f"/6/objects/{stored(client, '/6/objects', DATA, 'a/b')}"
    got = client.get(path, headers={"Range": header})
    assert (got.status_code, got.getvalue()) == (200, DATA)


@pytest.mark.parametrize("header", ["bytes=1024-", "bytes=5-4", "bytes=-0", "bytes=9999-99999"])
def test_ranges_outside(client: Client, header: str) -> None:
    path = f"/6/objects/{stored(client, '/6/objects', DATA, 'a/b')}"
    answer = client.get(path, headers={"Range": header})
    refused(answer, 416, 12046)
    assert answer.headers["Content-Range"] == "bytes */1024"


def test_etags(client: Client) -> None:
    path = f"/6/objects/{stored(client, '/6/objects', DATA, 'a/b')}"
    tag = client.get(path).headers["ETag"]
    assert client.head(path).headers["ETag"] == tag
    for header in (tag, f'"x", W/{tag}', "*"):
        answer = client.get(path, headers={"If-None-Match": header})
        assert (answer.status_code, answer.content) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
    assert client.get(path, headers={"Range": "bytes=0-1", "If-Range": tag}).status_code == 206
    assert client.get(path, headers={"Range": "bytes=0-1", "If-Range": '"x"'}).status_code == 200


def test_expired_is_gone(client: Client) -> None:
    path = f"/6/objects/{stored(client, '/6/objects?ttl=1', DATA, 'a/b')}"
    row = StoredObject.objects.unscoped().get()
    expected = row.expiry_time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert client.head(path).headers["X-Luna-Expiry-Date"] == expected
    StoredObject.objects.unscoped().update(expiry_time=row.create_time - timedelta(seconds=1))
    refused(client.get(path), 404, 13007)
    assert client.head(path).status_code == 404


def test_others_see_nothing(client: Client, stranger: Client) -> None:
    path = f"/6/objects/{stored(client, '/6/objects', DATA, 'a/b')}"
    for answer in (stranger.get(path), stranger.delete(path)):
        refused(answer, 404, 13007)
    assert stranger.head(path).status_code == 404


@pytest.mark.parametrize("kind", ["image", "object"])
@pytest.mark.parametrize(
    ("method", "path", "right"), [("post", "", "creation"), ("get", "/{key}", "view"), ("delete", "/{key}", "deletion")]
)
def test_tokens_need_the_right(client: Client, account: Account, kind: str, method: str, path: str, right: str) -> None:
    key = stored(client, f"/6/{kind}s", picture((5, 5)))
    url = f"/6/{kind}s{path.format(key=key)}"
    refused(getattr(token_without(account, kind, right), method)(url), 403, 11059)


@pytest.mark.parametrize("kind", ["image", "object"])
def test_tokens_need_no_other_right(client: Client, account: Account, kind: str) -> None:
    path = f"/6/{kind}s/{stored(client, f'/6/{kind}s', picture((5, 5)))}"
    assert token_client(account, **{kind: ["view"]}).get(path).status_code == 200


@pytest.mark.parametrize("path", ["/6/samples/faces", "/6/images", "/6/objects"])
def test_no_credentials(db: None, path: str) -> None:
    refused(Client().post(path, DATA, content_type="a/b"), 403, 12010)
