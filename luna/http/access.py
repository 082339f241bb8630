"""The access log: one line per HTTP request and per websocket. The same place passes requests to monitoring.

A line has method, route, status, duration, account and, as every line, the request id. It has no path, query string,
header or body, because these contain ids of people and secrets.
"""

import logging
import re
import time
from collections.abc import Container, Mapping
from functools import lru_cache
from typing import Any

from django.urls import Resolver404, resolve
from django.utils.functional import LazyObject

from apps.common.plugins.contract import Point
from apps.common.plugins.services import plugins
from apps.common.request_id import current_request_id
from apps.common.times import utc_now
from apps.common.tracing import current_span
from apps.monitoring.answered import Answered
from apps.monitoring.observers import is_observed, observe
from apps.monitoring.traces import handshake_span, request_span
from luna.http.environ import header

logger = logging.getLogger("luna.access")

ROUTE, ACCOUNT = "luna.route", "luna.account"  # keys in the WSGI environment
HANDLER = "luna.handler_id"  # as well, of an event generation
NOTED = (ROUTE, ACCOUNT, HANDLER)
ERROR_CODE = "luna.error_code"  # key in the notes of a request
NOTES = (
    "luna.notes"  # key in the scope of a websocket: a dict that the application fills with `ACCOUNT` and `ERROR_CODE`
)
NONE = "-"
CLIENT_LEFT_STATUS = 499  # as in nginx: the client closed the connection before the response
STATIC = "/static/"
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def write_access(
    *, method: str, path: str, status: int, started_s: float, notes: Mapping[str, Any] | None = None
) -> None:
    """Write the line of a request, and pass it to monitoring and to the plugins of its service.

    `path` is used to find the route when `notes` has none, `started_s`: its start in seconds of `time.perf_counter`.
    """
    observed = plugins.value  # created at the start of a web process
    is_counted = is_observed()
    if not logger.isEnabledFor(logging.INFO) and (observed is None or not observed.runners) and not is_counted:
        return
    notes = notes or {}
    route = notes.get(ROUTE) or route_of(path)
    account = notes.get(ACCOUNT)
    duration_s = time.perf_counter() - started_s
    ms = round(duration_s * 1000, 1)
    if is_counted:
        observe(
            Answered(
                method=method,
                route=route,
                status=status,
                duration_s=duration_s,
                error_code=notes.get(ERROR_CODE),
                account_id=account,
                handler_id=notes.get(HANDLER),
                request_id=current_request_id.get(),
            )
        )
    if observed is not None and observed.runners:
        observed.answered(_point(method, route, status, ms, account))
    logger.info(
        "%s %s %d %.1f ms account %s",
        method,
        route,
        status,
        ms,
        account or NONE,
        extra={
            "fields": {
                "method": method,
                "route": route,
                "status": status,
                "ms": ms,
                "account_id": str(account) if account else None,
                **({"error_code": notes[ERROR_CODE]} if notes.get(ERROR_CODE) else {}),
            }
        },
    )


def _point(method: str, route: str, status: int, ms: float, account_id: Any) -> Point:
    return Point(
        time=utc_now(),
        method=method,
        route=route,
        status=status,
        duration_ms=ms,
        account_id=account_id,
        request_id=current_request_id.get(),
    )


def note_request(request: Any) -> None:
    """Record route and account of a Django request in its WSGI environment."""
    if request.resolver_match is not None:
        request.META[ROUTE] = template(request.resolver_match.route)
        if request.resolver_match.route.endswith("events"):
            request.META[HANDLER] = request.resolver_match.kwargs.get("handler_id")
    user = getattr(request, "_cached_user", None) or getattr(request, "user", None)
    if not isinstance(user, LazyObject):  # a page that has not read its user
        request.META[ACCOUNT] = getattr(user, "account_id", None)


def route_of(path: str) -> str:
    """Return the route of a path; `-` when there is none."""
    if path.startswith(STATIC):
        return STATIC
    try:
        return template(resolve(path).route)
    except Resolver404:
        return NONE


@lru_cache(1024)
def template(route: str) -> str:
    """Return a route as in the API document: `/6/faces/{face_id}`."""
    return "/" + _PARAMETER.sub(r"{\1}", route)


class LoggedWebsockets:
    """An ASGI application for websockets that writes an access line when the connection ends.

    The status is 101 for an accepted handshake, else that of the rejection. Traces have a span of the handshake alone:
    a connection may last for days. `routes`: the known paths.
    """

    def __init__(self, application: Any, *, routes: Container[str]) -> None:
        self.application, self.routes = application, routes

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        started_s = time.perf_counter()
        notes: dict[str, Any] = {ROUTE: scope["path"] if scope["path"] in self.routes else NONE}
        status = CLIENT_LEFT_STATUS
        span = request_span(header(scope, b"traceparent"))

        def end_span() -> None:
            nonlocal span
            if span is not None:
                span.answered(
                    method="GET", route=notes[ROUTE], status=status, error_code=notes.get(ERROR_CODE),
                    request_id=current_request_id.get(),
                )  # fmt: skip
                span = None
                current_span.set(None)

        async def observed(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.http.response.start":
                status = message["status"]
            elif message["type"] == "websocket.close" and status == CLIENT_LEFT_STATUS:
                status = 403
            end_span()
            await send(message)

        try:
            with handshake_span(span):
                await self.application({**scope, NOTES: notes}, receive, observed)
        finally:
            end_span()
            write_access(method="WS", path=scope["path"], status=status, started_s=started_s, notes=notes)
