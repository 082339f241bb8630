"""Routes of handlers, verifiers, the detector and the extractor."""

from django.urls import URLPattern, path

from apps.handlers.api.event_views import EventGenerationView, StreamEventsView
from apps.handlers.api.lambda_views import LambdasView
from apps.handlers.api.raw_event_views import RawEventView
from apps.handlers.api.sample_views import DetectorView, ExtractorView
from apps.handlers.api.verifier_views import (
    RawVerificationsView,
    VerificationsView,
    VerifiersCountView,
    VerifiersValidatorView,
    VerifiersView,
    VerifierView,
)
from apps.handlers.api.views import HandlersCountView, HandlersValidatorView, HandlersView, HandlerView

urlpatterns: list[URLPattern] = [
    path("detector", DetectorView.as_view(), name="detector"),
    path("extractor", ExtractorView.as_view(), name="extractor"),
    path("handlers", HandlersView.as_view(), name="handlers"),
    path("handlers/count", HandlersCountView.as_view(), name="handlers_count"),
    path("handlers/validator", HandlersValidatorView.as_view(), name="handlers_validator"),
    path("handlers/<str:handler_id>", HandlerView.as_view(), name="handler"),
    path("handlers/<str:handler_id>/events", EventGenerationView.as_view(), name="handler_events"),
    path("handlers/<str:handler_id>/events/raw", RawEventView.as_view(), name="handler_raw_events"),
    path("handlers/<str:handler_id>/stream_events", StreamEventsView.as_view(), name="handler_stream_events"),
    path("verifiers", VerifiersView.as_view(), name="verifiers"),
    path("verifiers/count", VerifiersCountView.as_view(), name="verifiers_count"),
    path("verifiers/validator", VerifiersValidatorView.as_view(), name="verifiers_validator"),
    path("verifiers/<str:verifier_id>", VerifierView.as_view(), name="verifier"),
    path("verifiers/<str:verifier_id>/verifications", VerificationsView.as_view(), name="verifications"),
    path("verifiers/<str:verifier_id>/raw", RawVerificationsView.as_view(), name="raw_verifications"),
    path("lambdas", LambdasView.as_view(), name="no_lambdas"),
    path("lambdas/<path:path>", LambdasView.as_view(), name="no_lambda"),
]
