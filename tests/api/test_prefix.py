"""The platform below a path prefix: every address in its responses leads through the proxy."""

import http.client
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from apps.common.config import ExternalAddress
from tests.factories import make_account
from tests.platform import Caller, platform

Configure = Callable[..., None]
PREFIX = "/luna"


@pytest.fixture
def port(transactional_db: None) -> Iterator[int]:
    with platform(threads=2, proxies=("127.0.0.1",)) as port:
        yield port


def get(port: int, path: str, *, prefix: str = PREFIX, accept: str = "text/html") -> tuple[int, Any, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Accept": accept} | ({"X-Forwarded-Prefix": prefix} if prefix else {})
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, body


def addresses(html: str) -> list[str]:
    return [each for each in re.findall(r'(?:href|src|action)="(/[^"]*)"', html) if each != "/"]


@pytest.mark.parametrize("path", ["/", "/docs/errors", "/docs/spec", "/admin/login/"])
def test_links_of_pages_have_the_prefix_of_their_request(port: int, path: str) -> None:
    """In both orders: neither a file's address nor a page is remembered with the prefix of another request."""
    for prefix in (PREFIX, "", "/other", PREFIX):
        status, _, html = get(port, path, prefix=prefix)
        assert status == 200
        found = addresses(html)
        assert found
        assert [each for each in found if not each.startswith(f"{prefix}/")] == []
        assert [each for each in found if prefix and each.startswith(f"{prefix}{prefix}")] == []
        static = next(each for each in found if each.endswith(".css"))
        assert get(port, static, prefix=prefix)[0] == 200, "the proxy keeps the prefix"
        assert get(port, static.removeprefix(prefix), prefix=prefix)[0] == 200, "the proxy removes the prefix"


@pytest.mark.parametrize(
    ("path", "target"),
    [("/admin", "/admin/"), ("/admin/", "/admin/login/"), ("/docs", "/docs/spec"), ("/docs/", "/docs/spec")],
)
@pytest.mark.parametrize("prefix", [PREFIX, ""])
def test_redirects(port: int, path: str, target: str, prefix: str) -> None:
    status, headers, _ = get(port, path, prefix=prefix)
    assert (status, headers["Location"].partition("?")[0]) == (302, f"{prefix}{target}")


def test_cookies_stay_below_the_prefix(port: int) -> None:
    _, headers, _ = get(port, "/admin/login/")
    assert "path=/luna/" in headers["Set-Cookie"].lower().split("; ")
    _, headers, _ = get(port, "/admin/login/", prefix="")
    assert "path=/" in headers["Set-Cookie"].lower().split("; ")


def made_list(port: int, login: str, prefix: str) -> tuple[str, dict[str, Any]]:
    caller = Caller(port, login)
    headers = {**caller.headers, "X-Forwarded-Prefix": prefix, "Content-Type": "application/json"}
    caller.connection.request("POST", "/6/lists", b'{"user_data": "x"}', headers)
    answer = caller.connection.getresponse()
    body = json.loads(answer.read())
    assert answer.status == 201
    return str(answer.headers["Location"]), body


def test_a_created_object(port: int, configure: Configure) -> None:
    login = make_account().login
    for prefix in (PREFIX, "", PREFIX):
        location, body = made_list(port, login, prefix)
        assert location == f"{prefix}{body['url']}"
        assert body["url"] == f"/6/lists/{body['list_id']}", "a reference in later requests"
        assert body["external_url"] == f"http://127.0.0.1:5000{location}"
    configure(ExternalAddress, origin="https://desk.example/faces")
    location, body = made_list(port, login, PREFIX)
    assert location == f"/faces{body['url']}"
    assert body["external_url"] == f"https://desk.example{location}"


@pytest.mark.parametrize("path", ["/6/faces", "/6/nowhere"])
def test_the_link_of_an_error(port: int, path: str) -> None:
    status, _, body = get(port, path, accept="application/json")
    assert status in (403, 404)
    assert json.loads(body)["link"].startswith(f"http://127.0.0.1:5000{PREFIX}/docs/errors#")


def test_the_link_of_an_error_without_django(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/6/lists", headers={"X-Forwarded-Prefix": PREFIX, "Content-Length": "1000000000"})
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["link"].startswith(f"http://127.0.0.1:5000{PREFIX}/docs/errors#")


@pytest.mark.parametrize("prefix", [PREFIX, "", "/other"])
@pytest.mark.parametrize("accept", ["application/json", "application/x-yaml"])
def test_the_servers_of_the_openapi_document(port: int, prefix: str, accept: str) -> None:
    _, _, text = get(port, "/docs/spec", prefix=prefix, accept=accept)
    servers = yaml.load(text, yaml.CSafeLoader)["servers"]  # JSON is YAML
    assert [each["url"] for each in servers] == [prefix or "/", f"http://127.0.0.1:5000{prefix}"]
