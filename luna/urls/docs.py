"""The OpenAPI document, its interactive page at the same address, and the page of error codes."""

from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularSwaggerSplitView

from apps.common.errors import CATALOGUE
from apps.common.errors.catalogue import ERRORS_PATH

SPEC_PATH = "/docs/spec"
YAML, JSON = "application/x-yaml", "application/json"
RENDERERS = {YAML: OpenApiYamlRenderer, JSON: OpenApiJsonRenderer}

# Its script has an address of its own (the parameter `script`), because pages contain no scripts.
page = SpectacularSwaggerSplitView.as_view(url=SPEC_PATH, title=settings.SPECTACULAR_SETTINGS["TITLE"], schema=None)


@cache
def document(media_type: str) -> str | bytes:
    """Return the OpenAPI document. It takes a second to generate, so it is cached per process."""
    rendered: str | bytes = RENDERERS[media_type]().render(
        SchemaGenerator().get_schema(request=None, public=True), renderer_context={}
    )
    return rendered


@require_safe
def spec(request: HttpRequest) -> HttpResponseBase:
    """Answer with the page for `Accept: text/html`, with JSON if accepted, otherwise with YAML."""
    accept = request.headers.get("Accept", "")
    if "text/html" in accept or "script" in request.GET:
        return page(request)
    media_type = JSON if JSON in accept else YAML
    return HttpResponse(document(media_type), content_type=media_type, headers={"Vary": "Accept"})


@require_safe
def error_codes(request: HttpRequest) -> HttpResponse:
    """Show the error catalogue; the `link` of an error body leads to the row of its code."""
    return render(request, "docs/errors.html", {"rows": [row for row in CATALOGUE.values() if row.code]})


urlpatterns = [path(SPEC_PATH.lstrip("/"), spec), path(ERRORS_PATH.lstrip("/"), error_codes, name="error_codes")]
