"""Security headers of all responses, and Django's middleware of sessions and forms, which is for pages only.

Resources of the API use no cookies. Without these four, a look-up takes a tenth less time.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware import csrf
from django.utils import translation
from django.utils.cache import patch_vary_headers

from apps.common.addresses import ROOTS
from apps.common.config import Pages, config
from apps.common.links import location

GetResponse = Callable[[HttpRequest], HttpResponseBase]

RESOURCES = (*ROOTS, "/version", "/healthcheck")

# What the API returns is data: a browser that opens it as a page runs and loads nothing.
RESOURCE_POLICY = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Alpine.js of the admin site evaluates expressions in attributes. Inline scripts are not allowed there either.
ADMIN_POLICY = f"script-src 'self' 'unsafe-eval'; {PAGE_POLICY}"
ADMIN = "/admin"


class SecurityHeadersMiddleware:
    """Sets `Content-Security-Policy`, makes cookies over HTTPS secure and limits them to the prefix of a proxy."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy(request.path_info))
        secure = config(Pages).secure_cookies
        for name, cookie in response.cookies.items():
            if request.is_secure() if secure is None else secure:
                cookie["secure"] = True
            if not name.startswith("__Host-"):  # these are valid for the root only
                cookie["path"] = location(cookie["path"])
        return response


def policy(path: str) -> str:
    """Return the content security policy of a response."""
    return RESOURCE_POLICY if path.startswith(RESOURCES) else page_policy(path)


def page_policy(path: str, *, images: Iterable[str] = (), connect: Iterable[str] = ()) -> str:
    """Return the policy of a page, which may also load `images` from these origins, and `connect` to these.

    Some browsers do not take websockets of the own host for `'self'`. An operator's own policy is not changed.
    """
    if own := config(Pages).content_security_policy:
        return own
    allowed = ADMIN_POLICY if path.startswith(ADMIN) else PAGE_POLICY
    if images := " ".join(images):
        allowed = allowed.replace("img-src 'self'", f"img-src 'self' {images}")
    connects = " ".join(connect)
    return f"{allowed}; connect-src 'self' {connects}" if connects else allowed


class PagesOnly:
    """Pass requests for resources of the API on. The base class handles all other requests."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(RESOURCES):
            response: HttpResponseBase = self.get_response(request)
        else:
            response = super().__call__(request)  # type: ignore[misc]  # of the middleware
        return response


class LanguageMiddleware:
    """Show pages of the admin site in the language of the browser. The API, its errors and logs are English."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(ADMIN):
            return self.get_response(request)
        language = translation.get_language_from_request(request)
        with translation.override(language):
            response = self.get_response(request)
        patch_vary_headers(response, ("Accept-Language",))
        response.headers.setdefault("Content-Language", language)
        return response


class SessionMiddleware(PagesOnly, sessions.SessionMiddleware):
    """Sessions of pages."""


class CsrfViewMiddleware(PagesOnly, csrf.CsrfViewMiddleware):
    """CSRF protection. A view below an API path that is not exempt rejects every form: it has no cookie."""


class AuthenticationMiddleware(PagesOnly, auth.AuthenticationMiddleware):
    """Users of pages."""


class MessageMiddleware(PagesOnly, messages.MessageMiddleware):
    """Messages on pages."""
