"""Error pages of the admin site. `ErrorEnvelopeMiddleware` replaces those of API paths."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _

from apps.common.request_id import current_request_id

WORDS = {
    400: (_("Bad request"), _("The request is malformed.")),
    403: (_("Not allowed"), _("Your account has no permission for this page. An administrator assigns roles.")),
    404: (_("Not found"), _("This page does not exist, or the object was deleted.")),
    500: (_("The page failed"), ""),
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Show the page of status 400."""
    return _page(request, 400)


def not_allowed(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Show the page of status 403."""
    return _page(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Show the page of status 404."""
    return _page(request, 404)


def form_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Show the page of a form whose CSRF token does not match."""
    return _page(
        request, 403, str(_("The form is too old, or cookies are blocked. Reload the page and send it again."))
    )


def failed(request: HttpRequest) -> HttpResponse:
    """Show the page of status 500. It uses neither database nor session, because one of them may be the reason."""
    return _plain(
        500, _("The reason is in the log, in the lines of request %(id)s.") % {"id": current_request_id.get()}
    )


def _page(request: HttpRequest, status: int, sentence: str = "") -> HttpResponse:
    sentence = sentence or str(WORDS[status][1])
    if not hasattr(request, "user") or not admin.site.has_permission(request):  # paths of the API read no session
        return _plain(status, sentence)
    context = {**admin.site.each_context(request), **_context(status, sentence)}
    return render(request, "admin/luna/error.html", context, status=status)


def _plain(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(render_to_string("error.html", _context(status, sentence)), status=status)


def _context(status: int, sentence: str) -> dict[str, Any]:
    return {"status": status, "title": WORDS[status][0], "sentence": sentence}
