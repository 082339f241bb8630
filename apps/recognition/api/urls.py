"""Routes of sdk, iso and liveness."""

from django.urls import URLPattern, path

from apps.recognition.api.iso import IsoView
from apps.recognition.api.liveness import LivenessView
from apps.recognition.api.sdk import SdkView

urlpatterns: list[URLPattern] = [
    path("iso", IsoView.as_view(), name="iso"),
    path("liveness", LivenessView.as_view(), name="liveness"),
    path("sdk", SdkView.as_view(), name="sdk"),
]
