"""Websocket routes."""

from django.urls import path

from apps.sender.consumers import events_socket

# `/1/ws` is the path of the Sender, which clients of the original reach on a port of its own.
websocket_urlpatterns = [path(f"{version}/ws", events_socket) for version in (6, 1)]  # type: ignore[arg-type]  # Channels routes ASGI applications
