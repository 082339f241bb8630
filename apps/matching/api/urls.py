"""Paths of this room."""

from django.urls import path

from apps.matching.api.views import MatchFacesView

urlpatterns = [
    path("matcher/faces", MatchFacesView.as_view()),
]
