"""Paths of this room."""

from django.urls import URLPattern, path

from apps.handlers.api.event_views import EventGenerationView
from apps.handlers.api.sample_views import DetectorView, ExtractorView
from apps.handlers.api.views import HandlersCountView, HandlersValidatorView, HandlersView, HandlerView

urlpatterns: list[URLPattern] = [
    path("detector", DetectorView.as_view()),
    path("extractor", ExtractorView.as_view()),
    path("handlers", HandlersView.as_view()),
    path("handlers/count", HandlersCountView.as_view()),
    path("handlers/validator", HandlersValidatorView.as_view()),
    path("handlers/<str:handler_id>", HandlerView.as_view()),
    path("handlers/<str:handler_id>/events", EventGenerationView.as_view()),
]
