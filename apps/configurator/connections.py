"""Checks of connections: whether a server answers at each address that a value names."""

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from apps.common import errors
from apps.common.errors import LunaError

TIMEOUT_S = 3.0
MAX_ADDRESSES = 8
PORTS = {
    "http": 80, "https": 443, "postgres": 5432, "postgresql": 5432, "redis": 6379, "rediss": 6379, "ftp": 21,
    "grpc": 50051, "ws": 80, "wss": 443,
}  # fmt: skip
HOST_AND_PORT = (("host", "port"), ("db_host", "db_port"))
Address = tuple[str, int]


def connections_check(value: Any) -> int:
    """Connect to every address in a value and return their number.

    Raises LunaError SERVICE_CONNECTION_FAILED, which names the address.
    """
    found = list(dict.fromkeys(addresses(value)))[:MAX_ADDRESSES]
    for host, port in found:
        try:
            socket.create_connection((host, port), timeout=TIMEOUT_S).close()
        except (OSError, UnicodeError) as error:
            raise LunaError(errors.SERVICE_CONNECTION_FAILED) from error
    return len(found)


def addresses(value: Any) -> Iterator[Address]:
    """Yield the addresses in a value: URLs, and pairs of host and port."""
    if isinstance(value, dict):
        for host, port in HOST_AND_PORT:
            number = _port(value.get(port))
            if number and isinstance(value.get(host), str) and value[host] and "://" not in value[host]:
                yield value[host], number
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from addresses(each)
    elif isinstance(value, str) and "://" in value:
        try:
            parts = urlsplit(value)
            number = parts.port or PORTS.get(parts.scheme)
        except ValueError:
            return
        if parts.hostname and number:
            yield parts.hostname, number


def _port(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and 0 < int(text) < 2**16 else None
