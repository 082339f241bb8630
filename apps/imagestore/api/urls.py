"""Routes of samples, images and objects."""

from django.urls import path

from apps.imagestore.api import images, objects, samples

urlpatterns = [
    path("samples/faces", samples.FaceSamplesView.as_view(), name="face_samples"),
    path("samples/faces/<str:sample_id>", samples.FaceSampleView.as_view(), name="face_sample"),
    path("samples/bodies", samples.BodySamplesView.as_view(), name="body_samples"),
    path("samples/bodies/<str:sample_id>", samples.BodySampleView.as_view(), name="body_sample"),
    path("images", images.ImagesView.as_view(), name="images"),
    path("images/<str:image_id>", images.ImageView.as_view(), name="image"),
    path("objects", objects.ObjectsView.as_view(), name="objects"),
    path("objects/<str:object_id>", objects.ObjectView.as_view(), name="object"),
]
