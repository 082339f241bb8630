"""IP addresses of clients."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache


def parse_address(text: str | None) -> str | None:
    """Return an IP address in its canonical form, without a zone. None for any other text.

    A proxy that is trusted without restriction forwards any text that a client sends as its address.
    """
    try:
        return str(ipaddress.ip_address((text or "").partition("%")[0]))
    except ValueError:
        return None


@lru_cache(1024)
def is_within(address: str | None, networks: Iterable[str]) -> bool:
    """Return whether an address is in one of the networks; `*` contains every address."""
    if "*" in networks:
        return True
    if address is None:
        return False
    parsed = ipaddress.ip_address(address)
    if parsed.version == 6 and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in ipaddress.ip_network(network) for network in networks)
