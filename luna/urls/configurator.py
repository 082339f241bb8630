"""Resources of the Configurator: its pages in the admin site, settings below `/1`, version and health."""

from django.urls import include, path
from django.views.generic import RedirectView

from apps.monitoring.api.views import ServiceVersionView
from luna.urls import site
from luna.urls.all import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:configurator_setting_changelist")),
    path("", include(site)),
    path("", include("luna.urls.docs")),
    path("version", ServiceVersionView.as_view()),
    path("", include("apps.monitoring.api.urls")),
    path("1/", include("apps.configurator.api.urls")),
]
