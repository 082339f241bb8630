"""The OpenAPI document and its page, at one address: a browser gets the page, everybody else the document."""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import path
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer

SPEC_PATH = "/docs/spec"


class YamlRenderer(OpenApiYamlRenderer):
    media_type = "application/x-yaml"
    format = "yaml"


class JSONRenderer(OpenApiJsonRenderer):
    media_type = "application/json"
    format = "json"


class FirstUnlessAsked(DefaultContentNegotiation):
    """The renderer whose type stands in `Accept`, else the first: a foreign `Accept` is no reason to refuse."""

    def select_renderer(self, request, renderers, format_suffix=None):
        accept = request.headers.get("Accept", "")
        chosen: BaseRenderer = next((each for each in renderers if each.media_type in accept), renderers[0])
        return chosen, chosen.media_type


class DocumentView(SpectacularAPIView):
    renderer_classes = [YamlRenderer, JSONRenderer]
    content_negotiation_class = FirstUnlessAsked
    schema = None


class PageView(SpectacularSwaggerView):
    schema = None


document = DocumentView.as_view()
page = PageView.as_view(url=SPEC_PATH, title=settings.SPECTACULAR_SETTINGS["TITLE"])


def spec(request: HttpRequest) -> HttpResponseBase:
    """`Accept: text/html` gets the page, anything else the document (YAML, or JSON if asked for)."""
    return page(request) if "text/html" in request.headers.get("Accept", "") else document(request)


urlpatterns = [path(SPEC_PATH.lstrip("/"), spec)]
