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
        sender_port = config(Processes).sender_port
        if sender_port and request.META.get("SERVER_PORT") == str(sender_port):
            request.urlconf = "luna.urls.sender"
        return self.get_response(request)
