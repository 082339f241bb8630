"""Middleware of listeners and of the access log."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.common.config import config
from luna.config import Processes
from luna.http.access import note_request


class AccessNotesMiddleware:
    """Records route and account of each request for its access line."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        note_request(request)
        return response


class ListenerMiddleware:
    """Selects the URLs of the port that received a request. It is the port of the socket, not that of `Host`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        urls = config(Processes).urls
        if urls:
            request.urlconf = urls.get(int(request.META["SERVER_PORT"]))
        return self.get_response(request)
