"""Checks of connections: whether a server answers at the addresses that a value names."""

import socket
from collections.abc import Iterator, Mapping
from typing import Any

from apps.common import errors
from apps.common.errors import LunaError

TIMEOUT_S = 3.0
MAX_SERVERS = 8
PORTS = {
    "http": 80, "https": 443, "postgres": 5432, "postgresql": 5432, "redis": 6379, "rediss": 6379, "ftp": 21,
    "grpc": 50051, "ws": 80, "wss": 443,
}  # fmt: skip
HOST_AND_PORT = (("host", "port"), ("db_host", "db_port"))
DSN, SENTINELS = "dsn", "sentinels"
POSTGRES_PORT, SENTINEL_PORT = "5432", "26379"
Address = tuple[str, str]
Server = tuple[Address, ...]
"""Addresses of one server. It is available if one of them answers, as for hosts of a DSN."""


def connections_check(value: Any) -> int:
    """Connect to the servers that a value names and return their number, at most `MAX_SERVERS`.

    Raises LunaError SERVICE_CONNECTION_FAILED, which names the addresses.
    """
    found = list(dict.fromkeys(servers(value)))[:MAX_SERVERS]
    for server in found:
        failures = []
        for address in server:
            failure = _failure(address)
            if failure is None:
                break
            failures.append(failure)
        else:
            raise LunaError(errors.SERVICE_CONNECTION_FAILED, "; ".join(failures))
    return len(found)


def _failure(address: Address) -> str | None:
    """Return why nothing answers at an address, None if a server does."""
    host, port = address
    shown = f"{f'[{host}]' if ':' in host else host}:{port}"
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 2**16):
        return f"{shown} (the port must be 1 to 65535)"
    try:
        socket.create_connection((host, int(port)), timeout=TIMEOUT_S).close()
    except (OSError, UnicodeError) as error:
        return f"{shown} ({getattr(error, 'strerror', None) or error})"
    return None


def servers(value: Any) -> Iterator[Server]:
    """Yield the servers in a value: URLs, pairs of host and port, DSNs of PostgreSQL, and lists of sentinels."""
    if isinstance(value, dict):
        yield from _members(value)
        value = [each for name, each in value.items() if name not in (DSN, SENTINELS)]
    if isinstance(value, list):
        for each in value:
            yield from servers(each)
    elif isinstance(value, str):
        scheme, separator, rest = value.partition("://")
        if separator:
            yield from _server(rest, str(PORTS.get(scheme.lower(), "")))


def _members(value: Mapping[str, Any]) -> Iterator[Server]:
    """Yield the servers that members name together. A DSN and sentinels take the place of host and port."""
    pairs = [(value[host], str(value.get(port) or "")) for host, port in HOST_AND_PORT if _is_host(value.get(host))]
    dsn, sentinels = value.get(DSN), value.get(SENTINELS)
    sentinel = value.get("sentinel")
    if isinstance(dsn, str) and dsn:
        host, port = pairs[0] if pairs else ("", "")
        yield from _server(dsn.rpartition("://")[2], port or POSTGRES_PORT, host)
    elif not (isinstance(sentinel, dict) and sentinel.get(SENTINELS)):
        yield from (((host, port),) for host, port in pairs if port not in ("", "0"))
    if isinstance(sentinels, str):
        sentinels = sentinels.split(",")
    if isinstance(sentinels, list):
        yield from (_sentinels(sentinels),) if sentinels else ()


def _is_host(value: Any) -> bool:
    return isinstance(value, str) and value != "" and "://" not in value


def _sentinels(values: list[Any]) -> Server:
    found: list[Address] = []
    for each in values:
        match each:
            case [host, port]:
                found.append((str(host), str(port)))
            case {"host": host, "port": port}:
                found.append((str(host), str(port)))
            case _:
                found.append(_address(str(each).strip(), SENTINEL_PORT))
    return tuple(found)


def _server(rest: str, default_port: str, default_host: str = "") -> Iterator[Server]:
    """Yield the server of a URL without its scheme. A host or port that is unknown to us yields nothing."""
    for end in "/?#":
        rest = rest.partition(end)[0]
    hosts = rest.rpartition("@")[2]
    found = tuple(_address(each.strip(), default_port) for each in (hosts or default_host).split(","))
    # Braces: a template such as `https://{s}.tiles.example`, whose host the reader fills in.
    if all(host and port and "{" not in host for host, port in found):
        yield found


def _address(text: str, default_port: str) -> Address:
    """Split `host:port`, `host`, `[::1]:port`."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":") or default_port
    host, _, port = text.partition(":")
    return host, port or default_port
