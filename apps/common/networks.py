"""IP addresses of clients."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(1024)
def parse_address(text: str | None) -> str | None:
    """Return an IP address in its canonical form, without a zone. None for any other text.

    An IPv4 client in the form `::ffff:192.0.2.7` is returned as IPv4. Otherwise all of them would be in one /64
    network, and share the rate limit of logins. A proxy that is trusted without restriction forwards any text.
    """
    try:
        parsed = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


@lru_cache(1024)
def is_within(address: str | None, networks: Iterable[str]) -> bool:
    """Return whether an address, as `parse_address` returns it, is in one of the networks; `*` contains every one."""
    if "*" in networks:
        return True
    if address is None:
        return False
    parsed = ipaddress.ip_address(address)
    return any(parsed in ipaddress.ip_network(network) for network in networks)
