"""Paths below `/1`, as in the Image Store service."""

from django.urls import path

from apps.imagestore.api import buckets, shelves

urlpatterns = [
    path("buckets", buckets.BucketsView.as_view(), name="buckets"),
    path("buckets/<str:bucket>", buckets.BucketView.as_view(), name="bucket"),
    path("buckets/<str:bucket>/images", shelves.BucketImagesView.as_view(), name="bucket_images"),
    path("buckets/<str:bucket>/images/<str:image_id>", shelves.BucketImageView.as_view(), name="bucket_image"),
    path("buckets/<str:bucket>/objects", shelves.BucketObjectsView.as_view(), name="bucket_objects"),
    path("buckets/<str:bucket>/objects/<str:object_id>", shelves.BucketObjectView.as_view(), name="bucket_object"),
]
