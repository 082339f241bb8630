"""Routes of version and health, each with and without version prefix, because clients use both."""

from django.urls import path

from apps.monitoring.api.views import FeaturesView, HealthView, MetricsView, VersionView

urlpatterns = [
    path(f"{prefix}{name}", view.as_view(), name=name if prefix else None)
    for prefix in ("", "6/")
    for name, view in (("version", VersionView), ("healthcheck", HealthView))
] + [
    path("6/features", FeaturesView.as_view(), name="features"),
    path("metrics", MetricsView.as_view(), name="metrics"),
]
