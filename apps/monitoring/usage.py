"""Monthly statistics of requests and estimations, as the system information has them."""

from typing import TypedDict

from apps.monitoring.models import EstimationCount, RouteCount


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
    """Statistics by month, the latest first."""

    estimators_stats: list[EstimatorUsageJson]
    routes_stats: list[RouteUsageJson]


def usage() -> UsageJson:
    """Return the statistics of all months."""
    estimations = EstimationCount.objects.order_by("-month", "name")
    return {
        "estimators_stats": [
            {"name": each.name, "count": each.count, "month": f"{each.month:%Y-%m}"} for each in estimations
        ],
        "routes_stats": _routes(),
    }


def _routes() -> list[RouteUsageJson]:
    found: list[RouteUsageJson] = []
    order = ("-month", "service", "route", "status_code", "error_code")
    for row in RouteCount.objects.order_by(*order):
        month, key = f"{row.month:%Y-%m}", (row.service, row.route)
        if not found or (found[-1]["service"], found[-1]["route"]) != key or found[-1]["month"] != month:
            found.append(
                {"service": row.service, "route": row.route, "month": month, "errors": [], "request_stats": []}
            )
        route, status = found[-1], str(row.status_code)
        if route["request_stats"] and route["request_stats"][-1]["status_code"] == status:
            route["request_stats"][-1]["count"] += row.count
        else:
            route["request_stats"].append({"count": row.count, "status_code": status})
        if row.error_code:
            _add(route["errors"], row.error_code, row.count)
    return found


def _add(errors: list[ErrorUsageJson], error_code: str, count: int) -> None:
    """Add a count; codes of several statuses, such as `unknown`, are one."""
    for each in errors:
        if each["error_code"] == error_code:
            each["count"] += count
            return
    errors.append({"count": count, "error_code": error_code})
