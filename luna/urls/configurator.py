"""Resources of the Configurator: version and health."""

from django.urls import include, path

urlpatterns = [
    path("", include("apps.monitoring.api.urls")),
]
