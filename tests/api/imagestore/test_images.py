"""/6/images."""

import base64
import io
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from apps.accounts.models import Account
from apps.imagestore.models import StoredObject
from luna.http.environ import environment
from tests.api.helpers import refused
from tests.api.imagestore.helpers import picture, png_header, post, stored

FORMS = [
    ("JPEG", "image/jpeg"),
    ("PNG", "image/png"),
    ("BMP", "image/bmp"),
    ("TIFF", "image/tiff"),
    ("PPM", "image/x-portable-pixmap"),
    ("WEBP", "image/webp"),
    ("GIF", "image/gif"),
    ("JPEG2000", "image/jp2"),
    ("AVIF", "image/avif"),
]


@pytest.mark.parametrize(("form", "content_type"), FORMS)
def test_an_image_comes_back(client: Client, form: str, content_type: str) -> None:
    data = picture((40, 30), form)
    answer = post(client, "/6/images", data, content_type)
    assert set(answer.json()) == {"image_id", "url", "external_url"}
    got = client.get(answer.json()["url"])
    assert (got.status_code, got.headers["Content-Type"]) == (200, content_type)
    assert got.getvalue() == data
    assert client.delete(answer.json()["url"]).status_code == 204
    refused(client.get(answer.json()["url"]), 404, 13003)


def test_base64_is_decoded(client: Client) -> None:
    data = picture((40, 30))
    key = stored(client, "/6/images", base64.b64encode(data), "image/x-jpeg-base64")
    assert client.get(f"/6/images/{key}").getvalue() == data
    refused(post(client, "/6/images", b"!!!", "image/x-jpeg-base64"), 400, 12025)


def test_several_of_a_form(client: Client, django_assert_num_queries: object) -> None:
    files = [SimpleUploadedFile(f"{n}.png", picture((10 + n, 9), "PNG"), "image/png") for n in range(3)]
    answer = client.post("/6/images?ttl=2", {"image": files})
    assert answer.status_code == 201
    images = answer.json()["images"]
    assert len(images) == 3
    for n, image in enumerate(images):
        assert client.get(image["url"]).getvalue() == picture_of(files[n])
        assert "X-Luna-Expiry-Date" in client.head(image["url"]).headers


def picture_of(upload: SimpleUploadedFile) -> bytes:
    upload.seek(0)
    return upload.read()


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([], 12030),
        ([("a.png", b"text", "image/png")], 12025),
        ([("a.txt", b"text", "text/plain")], 11029),
        ([("a.png", picture((5, 5), "PNG"), "image/png")] * 2, 11046),
    ],
)
def test_bad_forms(client: Client, files: list[tuple[str, bytes, str]], code: int) -> None:
    form = {"image": [SimpleUploadedFile(*file) for file in files]} if files else {"text": "x"}
    refused(client.post("/6/images", form), 400, code)
    assert not StoredObject.objects.unscoped().exists()


def test_a_broken_form(client: Client) -> None:
    refused(post(client, "/6/images", b"x", "multipart/form-data"), 400, 12046)


@pytest.mark.parametrize(
    ("data", "content_type", "status", "code"),
    [
        (b"", "image/png", 400, 12030),
        (b"text", "image/png", 400, 12025),
        (picture((5, 5)), "image/png", 400, 12025),
        (picture((5, 5)), "image/svg+xml", 400, 12017),
        (picture((5, 5)), "application/octet-stream", 400, 12017),
        (png_header(60_000, 60_000), "image/png", 400, 12025),
        (png_header(8_000, 8_000), "image/png", 400, 12025),
        (bytes(17 * 1024**2), "image/png", 413, 37003),
    ],
)
def test_what_is_no_image_is_refused(client: Client, data: bytes, content_type: str, status: int, code: int) -> None:
    refused(post(client, "/6/images", data, content_type), status, code)
    assert not StoredObject.objects.unscoped().exists()


def test_metadata_comes_back_when_asked_for(client: Client) -> None:
    headers = {"X-Luna-Meta-Camera": "gate 3", "X-Luna-Meta-user-id": "Zoë"}
    answer = client.post("/6/images", picture((5, 5)), content_type="image/jpeg", headers=headers)
    path = answer.json()["url"]
    for got in (client.get(f"{path}?with_meta=1"), client.head(f"{path}?with_meta=1")):
        assert got.headers["X-Luna-Meta-camera"] == "gate 3"
        assert got.headers["X-Luna-Meta-user-id"] == "Zoë"
    for got in (client.get(path), client.get(f"{path}?with_meta=0")):
        assert not [name for name in got.headers if name.lower().startswith("x-luna-meta")]
    refused(client.get(f"{path}?with_meta=2"), 400, 12012)


def ask(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Any:
    """The answer to a request as our server hands it over: Django's client knows no `_` in names of headers."""
    scope = {
        "method": method, "raw_path": path.encode(), "query_string": b"", "http_version": "1.1", "scheme": "http",
        "client": ("127.0.0.1", 50_000),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    stream = io.BytesIO()
    stream.write(body)
    return Client().request(**environment(scope, stream))


@pytest.mark.usefixtures("account_header")
def test_names_with_underscores_are_not_lost(account: Account) -> None:
    own = {"Luna-Account-Id": str(account.account_id), "Host": "localhost"}
    sent = {"X-Luna-Meta-user_id": "7", "X-Luna-Meta-User-Id": "8", "Content-Type": "image/jpeg"}
    path = ask("POST", "/6/images", own | sent, picture((5, 5))).json()["url"]
    for asked in ({"with_meta": "1"}, {"with-meta": "1"}):
        got = ask("HEAD", path, own | asked).headers
        found = {name.lower(): value for name, value in got.items() if name.lower().startswith("x-luna-meta")}
        assert found == {"x-luna-meta-user_id": "7", "x-luna-meta-user-id": "8"}
    assert ask("GET", path, {"Luna_Account_Id": own["Luna-Account-Id"], "Host": "localhost"}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Luna-Meta-a": "x" * 1025},
        {"X-Luna-Meta-a": "line\r\nSet-Cookie: x"},
        {"X-Luna-Meta-a": "nul\x00"},
        {"X-Luna-Meta-a": "\u4e2d"},
        {"X-Luna-Meta-" + "k" * 65: "v"},
        {"X-Luna-Meta-a b": "v"},
        {"X-Luna-Meta-a/../b": "v"},
        {"X-Luna-Meta-a\tb": "v"},
        {"X-Luna-Meta-\xe9": "v"},
        {"X-Luna-Meta-a:b": "v"},
        {"X-Luna-Meta-": "v"},
        {f"X-Luna-Meta-{n}": "v" for n in range(33)},
    ],
)
def test_odd_metadata_is_refused(client: Client, headers: dict[str, str]) -> None:
    answer = client.post("/6/images", picture((5, 5)), content_type="image/jpeg", headers=headers)
    refused(answer, 400, 12046)
    assert not StoredObject.objects.unscoped().exists()


def test_others_see_nothing(client: Client, stranger: Client) -> None:
    path = f"/6/images/{stored(client, '/6/images', picture((5, 5)))}"
    for answer in (stranger.get(path), stranger.delete(path)):
        refused(answer, 404, 13003)
    assert stranger.head(path).status_code == 404


def test_only_pictures_come_as_forms(client: Client) -> None:
    """Django's parser would find delimiters inside of binary parts; identifiers and lifetimes are JSON."""
    for fields in ({f"field{number}": "x" for number in range(1001)}, {"image_ids": str(uuid4()), "ttl": "1"}):
        refused(client.put("/6/images", encode_multipart(BOUNDARY, fields), MULTIPART_CONTENT), 400, 12017)
