"""Routes of the Sender over HTTP."""

from django.urls import path

from apps.sender.api.views import TicketView

urlpatterns = [path("ws/ticket", TicketView.as_view(), name="websocket-ticket")]
