"""Addresses of the API, built and parsed by route name. Only URL modules contain path literals."""

import re
from functools import cache
from uuid import UUID

from django.urls import NoReverseMatch, get_resolver

API = "/6/"
ROOTS = (API, "/1/", "/4/")
"""Prefixes of the API's paths; `/1/` serves the buckets, `/4/` Admin."""

_ID = "~id~"  # `reverse` does not escape these characters


def address(route: str, *ids: UUID | str) -> str:
    """Return the path of a route, such as `/6/faces/{face_id}` for `face`. `ids` are UUIDs or names of buckets.

    Raises NoReverseMatch for a name that no route has.
    """
    return _template(route, len(ids)).format(*ids)


def is_routed(route: str) -> bool:
    """Return whether a route without ids exists."""
    try:
        return bool(_template(route, 0))
    except NoReverseMatch:
        return False


def address_ids(route: str, count: int, path: str, *, behind_host: bool = False) -> tuple[str, ...] | None:
    """Return the `count` ids of a path of the route; None for other paths. With `behind_host` a host may precede it."""
    pattern = _pattern(route, count)
    matched = pattern.search(path) if behind_host else pattern.match(path)
    return None if matched is None else matched.groups()


@cache
def _template(route: str, count: int) -> str:
    """Return the path with `{}` for each id, without the prefix of the request.

    Cached: `reverse` takes longer than most single-row queries.
    """
    return f"/{get_resolver().reverse(route, *[_ID] * count)}".replace(_ID, "{}")


@cache
def _pattern(route: str, count: int) -> re.Pattern[str]:
    return re.compile(re.escape(_template(route, count)).replace(r"\{\}", "([^/]+)") + r"\Z")
