"""Routes of the matcher."""

from django.urls import path

from apps.matching.api.views import MatchFacesView, MatchRawView

urlpatterns = [
    path("matcher/faces", MatchFacesView.as_view(), name="matcher_faces"),
    path("matcher/raw", MatchRawView.as_view(), name="matcher_raw"),
]
