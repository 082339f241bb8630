"""HTTP resources of the Sender's port. Websockets have the same paths on all ports."""

from django.urls import include, path

from apps.monitoring.api.views import ServiceVersionView

urlpatterns = [
    path("version", ServiceVersionView.as_view()),
    path("", include("apps.monitoring.api.urls")),
    path("6/", include("apps.sender.api.urls")),
]
