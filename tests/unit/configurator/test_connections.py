"""Which servers the check of connections finds in a value, and what it reports."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from apps.common import errors
from apps.common.errors import LunaError
from apps.configurator.connections import connections_check, servers

A, B = ("a", "1"), ("b", "2")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("http://a:1/path?query#part", [(A,)]),
        ("https://user:pass@word@a:1", [(A,)]),
        ("https://a", [(("a", "443"),)]),
        ("REDIS://a/0", [(("a", "6379"),)]),
        ("http://[::1]:8000/x", [(("::1", "8000"),)]),
        ("http://[::1]", [(("::1", "80"),)]),
        ("unknown://a", []),
        ("file:///a", []),
        ("https://{s}.tiles.example/{z}", []),
        ("a:1", []),
        ({"host": "a", "port": 1}, [(A,)]),
        ({"host": "a", "port": "1"}, [(A,)]),
        ({"host": "http://a:1", "port": 2}, [(A,)]),
        ({"host": "a", "port": 0}, []),
        ({"host": "", "port": 1}, []),
        ({"host": "a"}, []),
        ({"db_host": "a", "db_port": "1", "db_user": "u"}, [(A,)]),
        ({"deep": [{"url": "http://a:1"}, ["http://b:2"]]}, [(A,), (B,)]),
        # A DSN of PostgreSQL, with or without a scheme: one of its hosts is enough. Members fill in what it lacks.
        ({"dsn": "u:p@a:1,b:2/db?x=1"}, [(A, B)]),
        ({"dsn": "postgresql://a:1,b/db"}, [(A, ("b", "5432"))]),
        ({"dsn": "a,b/db", "db_host": "c", "db_port": "1"}, [(A, ("b", "1"))]),
        ({"dsn": "/db", "db_host": "a", "db_port": 1}, [(A,)]),
        # Sentinels know the address of Redis.
        ({"host": "a", "port": 1, "sentinel": {"master_name": "m", "sentinels": []}}, [(A,)]),
        ({"host": "c", "port": 3, "sentinel": {"sentinels": ["a:1", "b"]}}, [(A, ("b", "26379"))]),
        ({"sentinels": "a:1, b:2"}, [(A, B)]),
        ({"sentinels": [["a", 1], {"host": "b", "port": 2}]}, [(A, B)]),
    ],
)
def test_servers_of_a_value(value: Any, found: list[Any]) -> None:
    assert list(servers(value)) == found


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Return a port with a server, and one where nothing answers."""
    with ExitStack() as stack:
        opened, closed = stack.enter_context(socket.socket()), stack.enter_context(socket.socket())
        for each in (opened, closed):
            each.bind(("127.0.0.1", 0))
        opened.listen()
        yield opened.getsockname()[1], closed.getsockname()[1]


def refused(value: Any) -> str:
    with pytest.raises(LunaError) as raised:
        connections_check(value)
    assert raised.value.code == errors.SERVICE_CONNECTION_FAILED
    return raised.value.detail


def test_the_detail_names_the_address(ports: tuple[int, int]) -> None:
    opened, closed = ports
    assert connections_check([f"http://127.0.0.1:{opened}/{path}" for path in "ab"]) == 1
    assert refused({"url": f"http://u:secret@127.0.0.1:{closed}"}) == (
        f"Connection check to service is failed: 127.0.0.1:{closed} (Connection refused)"
    )
    assert "no-such-host.invalid:80 (" in refused({"host": "no-such-host.invalid", "port": 80})
    for port in ("99999", "x", "1" * 30):
        assert "(the port must be 1 to 65535)" in refused(f"http://127.0.0.1:{port}")


def test_one_host_of_a_server_is_enough(ports: tuple[int, int]) -> None:
    opened, closed = ports
    away = f"127.0.0.1:{closed}"
    assert connections_check({"dsn": f"{away},127.0.0.1:{opened}/luna"}) == 1
    assert refused({"sentinels": [away, away.replace("127.0.0.1", "localhost")]}).count(str(closed)) == 2
