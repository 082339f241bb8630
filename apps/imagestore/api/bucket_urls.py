"""Paths below `/1`, as in the Image Store service."""

from django.urls import path

from apps.imagestore.api import buckets

urlpatterns = [
    path("buckets", buckets.BucketsView.as_view()),
    path("buckets/<str:bucket>", buckets.BucketView.as_view()),
]
