"""Monthly statistics of requests and estimations. The part of monitoring that stores them registers as their source."""

from collections.abc import Callable
from typing import TypedDict


class EstimatorUsageJson(TypedDict):
    """Estimations of one kind in a month, such as `2026-11`."""

    name: str
    count: int
    month: str


class ErrorUsageJson(TypedDict):
    """Answers with an error code."""

    count: int
    error_code: str


class StatusUsageJson(TypedDict):
    """Answers with an HTTP status."""

    count: int
    status_code: str


class RouteUsageJson(TypedDict):
    """Requests of one route, such as `GET:/version`, in a month."""

    service: str
    route: str
    month: str
    errors: list[ErrorUsageJson]
    request_stats: list[StatusUsageJson]


class UsageJson(TypedDict):
    """Statistics by month. Empty until statistics are gathered."""

    estimators_stats: list[EstimatorUsageJson]
    routes_stats: list[RouteUsageJson]


Usage = Callable[[], UsageJson]
_sources: list[Usage] = []


def register_usage(source: Usage) -> None:
    """Register the source of the statistics."""
    _sources[:] = [source]


def usage() -> UsageJson:
    """Return the statistics of all months; empty lists without a source."""
    for source in _sources:
        return source()
    return {"estimators_stats": [], "routes_stats": []}
