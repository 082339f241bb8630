"""Routes of the matcher."""

from django.urls import path

from apps.matching.api.views import MatchBodiesView, MatchFacesView, MatchRawView

urlpatterns = [
    path("matcher/faces", MatchFacesView.as_view(), name="matcher_faces"),
    path("matcher/bodies", MatchBodiesView.as_view(), name="matcher_bodies"),
    path("matcher/raw", MatchRawView.as_view(), name="matcher_raw"),
]
