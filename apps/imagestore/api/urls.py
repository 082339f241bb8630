"""Routes of samples, images and objects."""

from django.urls import path

from apps.imagestore.api import views

urlpatterns = [
    path("samples/faces", views.FaceSamplesView.as_view(), name="face_samples"),
    path("samples/faces/<str:sample_id>", views.FaceSampleView.as_view(), name="face_sample"),
    path("samples/bodies", views.BodySamplesView.as_view(), name="body_samples"),
    path("samples/bodies/<str:sample_id>", views.BodySampleView.as_view(), name="body_sample"),
    path("images", views.ImagesView.as_view(), name="images"),
    path("images/<str:image_id>", views.ImageView.as_view(), name="image"),
    path("objects", views.ObjectsView.as_view(), name="objects"),
    path("objects/<str:object_id>", views.ObjectView.as_view(), name="object"),
]
