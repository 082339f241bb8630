"""Buttons of pages that change something: they send the form around them to another address, by POST."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString

from apps.common.errors import LunaError
from apps.common.refusals import refusal_text


def post_button(url: str, title: Any) -> SafeString:
    """Render a button within the form of a list or of an object, whose CSRF token it sends."""
    return format_html(
        '<button type="submit" formmethod="post" formaction="{}" formnovalidate class="luna-small-button">{}</button>',
        url,
        title,
    )


def posted(request: HttpRequest, *, allowed: bool, act: Callable[[], None], done: Any, back: str) -> HttpResponse:
    """Act for a button, and return to its page, or to the route `back`. A LunaError is shown there.

    Raises PermissionDenied unless `allowed`.
    """
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not allowed:
        raise PermissionDenied
    try:
        act()
    except LunaError as error:
        messages.error(request, refusal_text(error))
    else:
        messages.success(request, done)
    page = request.headers.get("Referer", "")
    known = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(page if known else reverse(back))
