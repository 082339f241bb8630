"""Resources of Admin: `/4`, the admin site, the documentation, version and health."""

from django.urls import include, path
from django.views.generic import RedirectView

from apps.administration.api.views import AdminVersionView
from luna.urls import site
from luna.urls.all import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("", include(site)),
    path("4/", include("apps.administration.api.urls")),
    path("version", AdminVersionView.as_view()),
    path("", include("apps.monitoring.api.urls")),
    path("", include("luna.urls.docs")),
]
