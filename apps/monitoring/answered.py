"""Answered requests, as monitoring counts and stores them."""

import re
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
WEBSOCKET = "WS"
UNKNOWN = "unknown"
API = "luna-api"
# The first of these that matches a route names its service of LUNA PLATFORM; the service of others is the API.
SERVICES = (
    ("luna-admin", re.compile(r"/4/|/admin\b")),
    ("luna-configurator", re.compile(r"/1/(settings|limitations|groups|dump)\b")),
    ("luna-image-store", re.compile(r"/1/buckets\b")),
    ("luna-licenses", re.compile(r"/1/license\b")),
    ("luna-sender", re.compile(r"/[16]/ws\b")),
)
_VERSION = re.compile(r"\A/[0-9]+(?=/)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answered request. `route`: with placeholders, `-` for an unknown path; `method` is that of the client."""

    method: str
    route: str
    status: int
    duration_s: float
    error_code: int | None = None
    account_id: UUID | None = None
    handler_id: UUID | None = None
    request_id: str = "-"


@lru_cache(4096)
def path_label(method: str, route: str) -> str:
    """Return `METHOD:/route`, without the version of the API. Methods that HTTP does not define are one."""
    if method == WEBSOCKET:
        method = "GET"
    elif method not in METHODS:
        method = UNKNOWN
    return f"{method}:{_VERSION.sub('', route, count=1)}"


@lru_cache(4096)
def service_of(route: str) -> str:
    """Return the service of LUNA PLATFORM that has a route."""
    return next((service for service, pattern in SERVICES if pattern.match(route)), API)
