"""Resources of the Configurator: settings below `/1`, version and health."""

from django.urls import include, path

urlpatterns = [
    path("", include("apps.monitoring.api.urls")),
    path("1/", include("apps.configurator.api.urls")),
]
