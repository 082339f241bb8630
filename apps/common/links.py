"""Links to the API's objects in responses, notifications and callbacks.

`url` is the path below the root of the API: clients send it back as a reference, and rows contain it. `external_url`
and the header `Location` include the prefix under which a proxy serves the platform.
"""

from typing import TypedDict

from django.urls import get_script_prefix

from apps.common.config import ExternalAddress, config


class LinksJson(TypedDict):
    url: str
    external_url: str


class OptionalLinksJson(TypedDict):
    """Addresses of an object, null if it is not stored."""

    url: str | None
    external_url: str | None


NO_LINKS: OptionalLinksJson = {"url": None, "external_url": None}


def external_url(path: str) -> str:
    """Return the address at which clients reach `path`: the external address, with the prefix of the request."""
    address = config(ExternalAddress)
    return f"{address.origin}{path}" if address.path else f"{address.origin}{location(path)}"


def location(path: str) -> str:
    """Return the path with the prefix of the request, for the header `Location`."""
    return f"{get_script_prefix().rstrip('/')}{path}"


def links(path: str) -> LinksJson:
    """Return the members `url` and `external_url` of an object at `path`."""
    return {"url": path, "external_url": external_url(path)}
