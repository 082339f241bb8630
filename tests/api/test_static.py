"""Static files of the admin site and the API page, as production serves them."""

import asyncio
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from pytest_django import Settings

STYLES = "/static/luna/admin.css"


@pytest.fixture
def client(settings: Settings) -> Client:
    settings.WHITENOISE_AUTOREFRESH = False
    return Client()


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        (STYLES, 'text/css; charset="utf-8"'),
        ("/static/unfold/css/styles.css", 'text/css; charset="utf-8"'),
        ("/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js", 'text/javascript; charset="utf-8"'),
    ],
)
def test_a_file_of_ours_and_of_packages(client: Client, path: str, content_type: str) -> None:
    found = finders.find(path.removeprefix("/static/"))
    assert found is not None
    with open(found, "rb") as file:
        expected = file.read()

    answer: Any = client.get(path)

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.getvalue() == expected
    assert answer.headers["Content-Length"] == str(len(expected))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in answer.headers
    head = client.head(path)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(expected)))


def test_a_browser_that_has_the_file_is_sent_nothing(client: Client) -> None:
    first: Any = client.get(STYLES)
    again: Any = client.get(STYLES, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.getvalue()) == (304, b"")


def test_a_part_of_a_file(client: Client) -> None:
    whole: Any = client.get(STYLES)
    part: Any = client.get(STYLES, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.getvalue()) == (206, whole.getvalue()[2:6])


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nowhere.css",
        "luna",
        "luna/",
        "../manage.py",
        "luna/../../manage.py",
        "%2e%2e/manage.py",
        "%00",
        "luna//admin.css",
    ],
)
def test_what_is_no_file_is_not_found(client: Client, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404


def test_through_the_pool_of_threads(settings: Settings) -> None:
    """The ASGI application streams a file whole, with its length."""
    settings.WHITENOISE_AUTOREFRESH = False
    from luna.asgi import application

    path = "/static/unfold/css/styles.css"
    found = finders.find(path.removeprefix("/static/"))
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "headers": [], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }  # fmt: skip
    sent: list[dict[str, Any]] = []
    received = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not received:
            await asyncio.sleep(60)  # the client stays
        return received.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))

    body = b"".join(message.get("body", b"") for message in sent[1:])
    with open(str(found), "rb") as file:
        assert body == file.read()
    assert sent[0]["status"] == 200
    assert dict(sent[0]["headers"])[b"content-length"] == str(len(body)).encode()
