"""Addresses of file servers that clients name."""

from apps.common.config import OutgoingRequests, config
from apps.common.fetch import FetchError, resolve
from apps.tasks.sources.base import SourceError, shown


def checked_address(host: str, port: int, *, unreachable: int) -> str:
    """Return the address to connect to. Raises SourceError `unreachable` without one, and for a private one."""
    try:
        return resolve(host, port, allow_private=config(OutgoingRequests).allow_private_urls)
    except FetchError as error:
        raise SourceError(unreachable, f"{shown(host)}:{port}") from error
