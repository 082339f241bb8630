"""The page of the licence and of the system information, which it offers as a file."""

import orjson
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from apps.accounts.adminbase.display import may_view
from apps.accounts.models import Account
from apps.administration.license_table import license_facts
from apps.administration.system_info import FILE_HEADERS, system_info
from apps.common.config import version
from apps.monitoring.service_versions import versions


@require_safe
def information(request: HttpRequest) -> HttpResponse:
    """Render the page. Raises PermissionDenied for users who may not view accounts."""
    _require(request)
    platform = versions()["LUNA PLATFORM"]
    context = {
        **admin.site.each_context(request),
        "title": _("Information"),
        "luna_version": version(),
        "platform_version": ".".join(str(platform[name]) for name in ("major", "minor", "patch")),
        "facts": license_facts(),
    }
    return render(request, "admin/luna/information.html", context)


@require_safe
def information_download(request: HttpRequest) -> HttpResponse:
    """Answer with the system information as a file. Raises PermissionDenied as the page does."""
    _require(request)
    text = orjson.dumps(system_info(), option=orjson.OPT_INDENT_2)
    return HttpResponse(text, content_type="application/json", headers=FILE_HEADERS)


def _require(request: HttpRequest) -> None:
    if not may_view(request.user, Account):
        raise PermissionDenied
