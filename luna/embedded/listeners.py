"""The sockets that the web processes listen on: one per address of LUNA_HOST and port (LUNA_PORT, and `SERVICES`)."""

import errno
import os
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from luna.embedded.defaults import HOST, MAX_PORT
from luna.embedded.defaults import PORT as DEFAULT_PORT
from luna.embedded.processes import EmbeddedError, number

BACKLOG = 2048
# Services of LUNA PLATFORM that can have a port besides LUNA_PORT. The variable of the port is LUNA_<NAME>_PORT, its
# field `<name>_port` of `luna.config.Processes`, and the URL module of the port `luna.urls.<name>`.
SERVICES = ("admin", "configurator", "sender")
_ANY_IPV4, _ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104 - only if LUNA_HOST names it
# An address family that this machine does not have, or a name's address that belongs to another machine.
_ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def listen(*, any_port: bool = False) -> tuple[list[socket.socket], str]:
    """Return sockets that listen on all addresses of LUNA_HOST and on LUNA_PORT, and the URL of the first address.

    The last ones listen on the ports of `SERVICES` that are not 0. With `any_port`, a free port is chosen if LUNA_PORT
    is not set and the default port is in use. Raises EmbeddedError.
    """
    hosts, port, ports = _hosts(), number("LUNA_PORT", DEFAULT_PORT, MAX_PORT), _service_ports()
    try:
        listeners = _bound(hosts, port)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that no DNS server could know
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        if not in_use or not any_port or os.environ.get("LUNA_PORT"):
            raise EmbeddedError(_problem(hosts, port, error)) from None
        listeners = _bound(hosts, 0)
    url = f"http://{_shown(hosts[0])}:{listeners[0].getsockname()[1]}"
    for variable, service_port in ports.items():
        try:
            listeners += _bound(hosts, service_port)
        except OSError as error:
            for listener in listeners:
                listener.close()
            raise EmbeddedError(_problem(hosts, service_port, error, variable)) from None
    return listeners, url


def _service_ports() -> dict[str, int]:
    """Return the ports of `SERVICES` by their variables, without those that are 0. Raises EmbeddedError."""
    variables = [f"LUNA_{name.upper()}_PORT" for name in SERVICES]
    return {each: number(each, 0, MAX_PORT) for each in variables if (os.environ.get(each) or "0") != "0"}


def require_same_address(url: str) -> None:
    """Raise EmbeddedError if LUNA_HOST or LUNA_PORT is set, but not to the address `url` of the running platform."""
    runs_at = urlsplit(url).netloc
    host, _, port = runs_at.rpartition(":")
    if os.environ.get("LUNA_HOST"):
        host = _shown(_hosts()[0])
    if os.environ.get("LUNA_PORT"):
        port = str(number("LUNA_PORT", DEFAULT_PORT, MAX_PORT))
    if f"{host}:{port}" != runs_at:
        raise EmbeddedError(
            f"Luna already runs at {url}, not at {host}:{port}: stop it with `make down` first, or set another "
            "LUNA_VAR_DIR for a second platform."
        )


def split_hosts(text: str) -> tuple[str, ...]:
    """Return the addresses of a value of LUNA_HOST, IPv6 addresses without brackets."""
    return tuple(host.strip().strip("[]") for host in text.split(","))


def _hosts() -> tuple[str, ...]:
    text = os.environ.get("LUNA_HOST") or HOST
    hosts = split_hosts(text)
    if not all(hosts):
        raise EmbeddedError(f"LUNA_HOST must be addresses of this machine, separated by commas, got {text!r}.")
    return hosts


def _bound(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Return a listening socket for each address. Port 0 selects one free port for all. Raises OSError."""
    listeners: list[socket.socket] = []
    try:
        for host in hosts:
            before, absent = len(listeners), OSError()
            for family, address in _addresses(host):
                try:
                    listeners.append(socket.create_server((address, port), family=family, backlog=BACKLOG))
                except OSError as error:
                    if error.errno not in _ABSENT:
                        raise
                    absent = error
                else:
                    port = listeners[-1].getsockname()[1]
            if len(listeners) == before:
                raise absent
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    """Return the addresses of a name. `::` includes IPv4, on a socket of its own, so that IPv4 clients keep their form.

    One socket for both would report the client 10.0.0.1 as `::ffff:10.0.0.1`, which matches no IPv4 network.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found)
    if host == _ANY_IPV6:
        addresses[socket.AF_INET, _ANY_IPV4] = None
    return list(addresses)


def _shown(host: str) -> str:
    """Return the host of the URL of an address; loopback for the addresses that mean all."""
    if host in (_ANY_IPV4, _ANY_IPV6):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _problem(hosts: Sequence[str], port: int, error: OSError | UnicodeError, variable: str = "LUNA_PORT") -> str:
    names = ", ".join(hosts)
    if isinstance(error, UnicodeError):
        return f"LUNA_HOST must be addresses of this machine, got {names} (no such name)."
    if isinstance(error, socket.gaierror):
        return f"LUNA_HOST must be addresses of this machine, got {names} ({error.strerror})."
    reason = os.strerror(error.errno or 0)
    if error.errno in _ABSENT:
        return f"LUNA_HOST must be addresses of this machine, got {names} ({reason})."
    return f"Cannot listen on port {port} of {names} ({reason}): stop its user or set another {variable}."
