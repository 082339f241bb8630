"""Host names of the platform: which ones requests may name, and which of them are listed one by one.

A page of a foreign site can resolve its own name to the platform's address (DNS rebinding). Its requests then have a
foreign name in their header `Host`.
"""

import ipaddress
from urllib.parse import urlsplit

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

from apps.common import errors
from apps.common.config import ExternalAddress, Web, config
from apps.common.errors import LunaError

ANY = "*"
OPAQUE = "null"  # the origin of sandboxed pages and files
LOOPBACK_HOSTS = (".localhost", "127.0.0.1", "[::1]")
MAX_SHOWN_CHARACTERS = 80


def check_host(request: HttpRequest) -> None:
    """Check the header `Host`. Raises LunaError INVALID_REQUEST for a name that is not allowed."""
    try:
        request.get_host()
    except DisallowedHost:
        host = str(request.META.get("HTTP_HOST", ""))[:MAX_SHOWN_CHARACTERS]
        problem = f"header `Host` must be one of `LUNA_ALLOWED_HOSTS`, got {host!r}"
        raise LunaError(errors.INVALID_REQUEST, problem) from None


def check_origin(origin: str | None, host: str) -> None:
    """Reject pages of other origins, which could use credentials that the browser has stored.

    `origin`: the header, which browsers send; None without it. Raises LunaError ACCESS_DENIED.
    """
    if origin is None or origin in config(Web).csrf_trusted_origins:
        return
    if urlsplit(origin).netloc.lower() != host.lower() or origin == OPAQUE:
        raise LunaError(errors.ACCESS_DENIED)


def listed_hosts() -> tuple[str, ...]:
    """Return the hosts that requests may name, without `*`: those of the settings, and the platform's own."""
    external = _external_host()
    return (
        *(host for host in config(Web).allowed_hosts if host != ANY),
        f"[{external}]" if ":" in external else external,
        *LOOPBACK_HOSTS,
    )


def is_listed(host: str) -> bool:
    """Return whether a `Host` is an IP address or one of `listed_hosts`. No page has the name of another host then."""
    domain, _ = split_domain_port(host)
    return bool(domain) and (_address(domain) is not None or validate_host(domain, listed_hosts()))


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a host: a loopback address, or a name below `localhost`."""
    address = _address(host)
    return validate_host(host.lower(), LOOPBACK_HOSTS) if address is None else address.is_loopback


def is_private() -> bool:
    """Return whether no setting lets other machines reach the platform through a proxy."""
    named = (*config(Web).allowed_hosts, _external_host())
    return not config(Web).forwarded_allow_ips and all(map(is_loopback, named))


def _external_host() -> str:
    return urlsplit(config(ExternalAddress).origin).hostname or ""


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
