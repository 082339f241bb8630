"""The addresses that LUNA_HOST and LUNA_PORT name."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from luna.embedded import listeners
from luna.embedded.listeners import SERVICES, listen, require_same_address
from luna.embedded.processes import EmbeddedError
from tests import ports


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    return ports.free_port()


def answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def reached(hosts: list[str], monkeypatch: pytest.MonkeyPatch, port: int, setting: str) -> tuple[list[bool], str]:
    """Whether each host answers, and the URL, while LUNA_HOST has this value."""
    monkeypatch.setenv("LUNA_HOST", setting)
    monkeypatch.setenv("LUNA_PORT", str(port))
    sockets, url = listen()
    try:
        assert {each.getsockname()[1] for each in sockets} == {port}
        return [answers(host, port) for host in hosts], url
    finally:
        for each in sockets:
            each.close()


def test_all_addresses_include_ipv4(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    hosts = ["127.0.0.1", "127.0.0.2"]
    assert reached(hosts, monkeypatch, free_port, "::") == ([True, True], f"http://127.0.0.1:{free_port}")


@ipv6
def test_all_addresses_include_ipv6(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    assert reached(["::1", "127.0.0.1"], monkeypatch, free_port, "::")[0] == [True, True]


@ipv6
def test_an_ipv4_client_keeps_its_form(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    """A client `::ffff:127.0.0.1` would match no IPv4 network of FORWARDED_ALLOW_IPS."""
    monkeypatch.setenv("LUNA_HOST", "::")
    monkeypatch.setenv("LUNA_PORT", str(free_port))
    sockets, _ = listen()
    with socket.create_connection(("127.0.0.1", free_port)):
        (ipv4,) = (each for each in sockets if each.family == socket.AF_INET)
        ipv4.settimeout(2)
        connection, address = ipv4.accept()
        connection.close()
    for each in sockets:
        each.close()
    assert address[0] == "127.0.0.1"


def test_several_addresses(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    seen = reached(hosts, monkeypatch, free_port, "127.0.0.2, 127.0.0.3")
    assert seen == ([False, True, True], f"http://127.0.0.2:{free_port}")


def test_a_name(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    assert reached(["127.0.0.1"], monkeypatch, free_port, "localhost") == ([True], f"http://localhost:{free_port}")


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid", "127.0.0.1,,", "x" * 70, "127.0.0.1,192.0.2.1"])
def test_an_address_of_another_machine(monkeypatch: pytest.MonkeyPatch, free_port: int, host: str) -> None:
    monkeypatch.setenv("LUNA_HOST", host)
    monkeypatch.setenv("LUNA_PORT", str(free_port))
    with pytest.raises(EmbeddedError, match=r"^LUNA_HOST must be addresses of this machine,.* got "):
        listen()
    assert not answers("127.0.0.1", free_port), "no socket is left open"


def test_a_free_port_is_taken_only_when_asked_for(monkeypatch: pytest.MonkeyPatch, taken_port: int) -> None:
    monkeypatch.delenv("LUNA_PORT", raising=False)
    monkeypatch.setattr(listeners, "DEFAULT_PORT", taken_port)
    with pytest.raises(EmbeddedError, match=f"port {taken_port} of 127.0.0.1 .Address already in use.: .*LUNA_PORT"):
        listen()
    sockets, url = listen(any_port=True)
    assert [f"http://127.0.0.1:{each.getsockname()[1]}" for each in sockets] == [url]
    sockets[0].close()
    monkeypatch.setenv("LUNA_PORT", str(taken_port))
    with pytest.raises(EmbeddedError):
        listen(any_port=True)


def test_services_have_ports_of_their_own(monkeypatch: pytest.MonkeyPatch, free_port: int, taken_port: int) -> None:
    monkeypatch.setenv("LUNA_PORT", str(free_port))
    with ExitStack() as servers:
        ports = [servers.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in SERVICES]
    for name, port in zip(SERVICES, ports, strict=True):
        monkeypatch.setenv(f"LUNA_{name.upper()}_PORT", str(port))
    sockets, url = listen()
    assert [each.getsockname()[1] for each in sockets] == [free_port, *ports]
    assert url == f"http://127.0.0.1:{free_port}"
    for each in sockets:
        each.close()
    for name in SERVICES:
        monkeypatch.setenv(f"LUNA_{name.upper()}_PORT", "0")
    for name in SERVICES:
        with monkeypatch.context() as patch:
            patch.setenv(f"LUNA_{name.upper()}_PORT", str(taken_port))
            with pytest.raises(EmbeddedError, match=f"port {taken_port} .*LUNA_{name.upper()}_PORT"):
                listen()
    assert not answers("127.0.0.1", free_port), "no socket is left open"


def test_two_services_cannot_share_a_port(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("LUNA_PORT", str(free_port))
    monkeypatch.setenv("LUNA_ADMIN_PORT", str(free_port))
    with pytest.raises(EmbeddedError, match=f"port {free_port} .*LUNA_ADMIN_PORT"):
        listen()
    assert not answers("127.0.0.1", free_port), "no socket is left open"


@pytest.mark.parametrize(
    ("host", "port", "other"),
    [
        ("", "", ""),
        ("", "5000", ""),
        ("0.0.0.0", "5000", ""),  # noqa: S104 - not bound
        ("", "6000", "127.0.0.1:6000"),
        ("10.0.0.1", "", "10.0.0.1:5000"),
        ("::1", "6000", r"\[::1\]:6000"),
    ],
)
def test_a_second_address_while_the_platform_runs(
    monkeypatch: pytest.MonkeyPatch, host: str, port: str, other: str
) -> None:
    monkeypatch.setitem(os.environ, "LUNA_HOST", host)
    monkeypatch.setitem(os.environ, "LUNA_PORT", port)
    if not other:
        require_same_address("http://127.0.0.1:5000")
        return
    with pytest.raises(EmbeddedError, match=f"runs at http://127.0.0.1:5000, not at {other}: .*make down"):
        require_same_address("http://127.0.0.1:5000")
