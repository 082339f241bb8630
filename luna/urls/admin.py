"""Resources of the service Admin: the admin site, the documentation, version and health."""

from django.urls import include, path
from django.views.generic import RedirectView

from luna.urls import site
from luna.urls.all import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include(site)),
    path("", include("apps.monitoring.api.urls")),
    path("", include("luna.urls.docs")),
]
