"""Routes of the erasure of people."""

from django.urls import path

from apps.privacy.api.views import ErasuresView

urlpatterns = [path("erasures", ErasuresView.as_view(), name="erasures")]
