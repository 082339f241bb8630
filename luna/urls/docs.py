"""The start page, the OpenAPI document with its interactive page at the same address, and the page of error codes."""

import re
import threading
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.utils.html import escape
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularSwaggerSplitView

from apps.common.errors import CATALOGUE
from apps.common.errors.catalogue import ERRORS_PATH
from apps.common.links import external_url, location

SPEC_PATH = "/docs/spec"
YAML, JSON = "application/x-yaml", "application/json"
_generating = threading.Lock()
RENDERERS = {YAML: OpenApiYamlRenderer, JSON: OpenApiJsonRenderer}

# Its script has an address of its own (the parameter `script`), because pages contain no scripts.
page = SpectacularSwaggerSplitView.as_view(url_name="spec", title=settings.SPECTACULAR_SETTINGS["TITLE"], schema=None)

# Replaced in each response: the servers depend on the request.
PREFIX_MARK, EXTERNAL_MARK = "luna:prefix", "luna:external"
SERVERS = [
    {"url": PREFIX_MARK, "description": "The server of this document."},
    {"url": EXTERNAL_MARK, "description": "The external address of the platform."},
]


def document(media_type: str) -> str:
    """Return the OpenAPI document with marks as servers. It takes a second to generate, so it is cached per process.

    One thread generates it: the generator is not thread-safe.
    """
    with _generating:
        return _document(media_type)


@cache
def _document(media_type: str) -> str:
    schema = SchemaGenerator().get_schema(request=None, public=True) | {"servers": SERVERS}
    rendered: str | bytes = RENDERERS[media_type]().render(schema, renderer_context={})
    return rendered.decode() if isinstance(rendered, bytes) else rendered


@require_safe
def spec(request: HttpRequest) -> HttpResponseBase:
    """Answer with the page for `Accept: text/html`, with JSON if accepted, otherwise with YAML."""
    accept = request.headers.get("Accept", "")
    if "text/html" in accept or "script" in request.GET:
        return page(request)
    media_type = JSON if JSON in accept else YAML
    text = document(media_type).replace(PREFIX_MARK, location("") or "/").replace(EXTERNAL_MARK, external_url(""))
    return HttpResponse(text, content_type=media_type, headers={"Vary": "Accept"})


@require_safe
def error_codes(request: HttpRequest) -> HttpResponse:
    """Show the error catalogue; the `link` of an error body leads to the row of its code."""
    rows = [(row, with_code(row.when), with_code(row.remedy), with_code(row.unused)) for row in CATALOGUE.values()]
    return render(request, "docs/errors.html", {"rows": [row for row in rows if row[0].code]})


def with_code(text: str) -> SafeString:
    """Render words in backticks as code."""
    return SafeString(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))


@require_safe
def start_page(request: HttpRequest) -> HttpResponse:
    """Show what the platform is, with links to its documentation and the admin site."""
    return render(request, "docs/start.html")


to_spec = RedirectView.as_view(pattern_name="spec")

urlpatterns = [
    path("", start_page, name="start_page"),
    path("docs", to_spec),
    path("docs/", to_spec),
    path(SPEC_PATH.lstrip("/"), spec, name="spec"),
    path(ERRORS_PATH.lstrip("/"), error_codes, name="error_codes"),
]
