"""Headers of proxies count only from trusted peers, and the prefix is removed from paths that still have it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import get_script_prefix

from apps.common.config import ExternalAddress
from luna.http.environ import Scope
from luna.http.proxies import Proxies

Configure = Callable[..., None]
PROXY, CLIENT = "10.0.0.1", "192.0.2.7"
HEADERS = {"x-forwarded-prefix": "/luna", "x-forwarded-for": CLIENT, "x-forwarded-proto": "https"}


def seen(
    path: str = "/6/version",
    *,
    headers: dict[str, str] = HEADERS,
    peer: str = PROXY,
    kind: str = "http",
    trusted: tuple[str, ...] = ("10.0.0.0/8",),
) -> dict[str, Any]:
    """What the platform sees of a request of this peer: path, prefix, client, scheme, prefix of links."""
    result: dict[str, Any] = {}

    async def application(scope: Scope, receive: Any, send: Any) -> None:
        names = ("path", "raw_path", "scheme", "luna.prefix")
        result.update({name: scope[name] for name in names}, client=scope["client"][0], links=get_script_prefix())

    scope: Scope = {
        "type": kind,
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "client": (peer, 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(Proxies(application, trusted)(scope, None, None))  # type: ignore[arg-type]
    assert result["raw_path"] == result["path"].encode()
    return result


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_trusted_proxy(kind: str) -> None:
    result = seen(kind=kind)
    assert (result["luna.prefix"], result["links"], result["path"]) == ("/luna", "/luna/", "/6/version")
    assert (result["client"], result["scheme"]) == (CLIENT, "https" if kind == "http" else "wss")


def test_any_other_peer() -> None:
    result = seen("/luna/6/version", peer=CLIENT)
    assert (result["luna.prefix"], result["links"], result["path"]) == ("", "/", "/luna/6/version")
    assert (result["client"], result["scheme"]) == (CLIENT, "http")


@pytest.mark.parametrize("trusted", [("*",), ("10.0.0.1", "*")])
def test_every_peer(trusted: tuple[str, ...]) -> None:
    assert seen(peer=CLIENT, trusted=trusted)["luna.prefix"] == "/luna"


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)])
def test_no_peer(trusted: tuple[str, ...]) -> None:
    assert seen(trusted=trusted)["luna.prefix"] == ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/luna/6/version", "/6/version"), ("/luna", "/"), ("/luna/", "/"), ("/lunatic", "/lunatic"), ("/", "/")],
)
def test_a_proxy_that_keeps_the_prefix(path: str, expected: str) -> None:
    assert seen(path)["path"] == expected


@pytest.mark.parametrize("prefix", ["/luna/", " /luna ", "/a/b.c/d_e~f-g"])
def test_forms_of_a_prefix(prefix: str) -> None:
    result = seen(headers={"x-forwarded-prefix": prefix})
    assert result["luna.prefix"] == prefix.strip().rstrip("/")


@pytest.mark.parametrize("prefix", ["", "/", "luna", "//evil.example", "/a/../b", "/a b", "/a?b", "/a\\b", "/%2f"])
def test_what_is_no_prefix_is_ignored(prefix: str) -> None:
    result = seen(headers={"x-forwarded-prefix": prefix})
    assert (result["luna.prefix"], result["links"]) == ("", "/")


def test_the_external_address_comes_first(configure: Configure) -> None:
    """It counts for every peer: an operator has set it."""
    configure(ExternalAddress, origin="https://desk.example/faces/")
    for peer in (PROXY, CLIENT):
        result = seen("/faces/6/version", peer=peer)
        assert (result["luna.prefix"], result["links"], result["path"]) == ("/faces", "/faces/", "/6/version")


def test_the_prefix_of_a_request_ends_with_it(configure: Configure) -> None:
    assert seen()["links"] == "/luna/"
    assert seen(headers={})["links"] == "/"
