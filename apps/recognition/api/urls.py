"""Recognition resources that store nothing."""

from django.urls import URLPattern, path

from apps.recognition.api.iso import IsoView

urlpatterns: list[URLPattern] = [
    path("iso", IsoView.as_view()),
]
