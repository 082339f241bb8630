"""What is known of a request before its body: whether its resource, method and credentials can be right."""

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth import get_user
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections
from django.http import HttpResponse
from django.urls import Resolver404, resolve

from apps.common import errors
from apps.common.api.views import LunaView, methods_of
from apps.common.errors import LunaError
from apps.common.hosts import check_host


def check_request(environ: dict[str, Any]) -> None:
    """Refuse a request whose body need not be received.

    Raises LunaError INVALID_REQUEST (a host that is not allowed), PAGE_NOT_FOUND, METHOD_NOT_ALLOWED,
    CREDENTIALS_REQUIRED, PAYLOAD_TOO_LARGE (a page, without a session of the admin site), and those of the view's
    authentication for wrong credentials.
    """
    request = WSGIRequest(environ)
    check_host(request)
    try:
        view: Any = getattr(resolve(request.path_info).func, "cls", None)
    except Resolver404:
        raise LunaError(errors.PAGE_NOT_FOUND) from None
    if not (isinstance(view, type) and issubclass(view, LunaView)):
        if not _may_open_pages(request):
            raise LunaError(errors.PAYLOAD_TOO_LARGE, "pages take large bodies after a login only")
        return
    method = str(request.method)
    allowed = methods_of(view)  # type: ignore[arg-type]  # classes are hashable
    if method not in allowed:
        raise LunaError(errors.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(allowed)})
    if view.is_public(method) and not view.resource:
        return
    close_old_connections()
    [authentication] = cast(Any, view.authentication_classes)
    if authentication().principal(request) is None and not view.is_public(method):
        raise LunaError(errors.CREDENTIALS_REQUIRED)


def _may_open_pages(request: Any) -> bool:
    """Return whether the session of a request is one of the admin site."""
    close_old_connections()
    SessionMiddleware(lambda _: HttpResponse()).process_request(request)
    request.user = get_user(request)
    return admin.site.has_permission(request)
