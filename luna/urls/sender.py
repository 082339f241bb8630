"""HTTP resources of the Sender's port. Websockets have the same paths on all ports."""

from django.urls import include, path

urlpatterns = [
    path("", include("apps.monitoring.api.urls")),
    path("6/", include("apps.sender.api.urls")),
]
