"""Paths of this room."""

from django.urls import path

from apps.imagestore.api import views

urlpatterns = [
    path("samples/faces", views.FaceSamplesView.as_view()),
    path("samples/faces/<str:sample_id>", views.FaceSampleView.as_view()),
    path("samples/bodies", views.BodySamplesView.as_view()),
    path("samples/bodies/<str:sample_id>", views.BodySampleView.as_view()),
    path("images", views.ImagesView.as_view()),
    path("images/<str:image_id>", views.ImageView.as_view()),
    path("objects", views.ObjectsView.as_view()),
    path("objects/<str:object_id>", views.ObjectView.as_view()),
]
