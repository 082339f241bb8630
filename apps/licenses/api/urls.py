"""Route of the licence."""

from django.urls import path

from apps.licenses.api.views import LicenseView

urlpatterns = [path("license", LicenseView.as_view(), name="license")]
