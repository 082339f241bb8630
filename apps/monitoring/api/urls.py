"""Routes of every port: metrics, version and health. Clients use the latter two with and without version prefix."""

from django.urls import path

from apps.monitoring.api.views import HealthView, MetricsView, VersionView

urlpatterns = [
    path(f"{prefix}{name}", view.as_view(), name=name if prefix else None)
    for prefix in ("", "6/")
    for name, view in (("version", VersionView), ("healthcheck", HealthView))
] + [
    path("metrics", MetricsView.as_view(), name="metrics"),
]
