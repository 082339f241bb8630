"""Websocket routes."""

from django.urls import path

from apps.sender.consumers import events_socket

websocket_urlpatterns = [path("6/ws", events_socket)]  # type: ignore[arg-type]  # Channels routes ASGI applications
