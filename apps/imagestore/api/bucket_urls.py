"""Routes of buckets below `/1`, as in the Image Store service."""

from django.urls import path

from apps.imagestore.api import bucket_content, buckets

urlpatterns = [
    path("buckets", buckets.BucketsView.as_view(), name="buckets"),
    path("buckets/<str:bucket>", buckets.BucketView.as_view(), name="bucket"),
    path("buckets/<str:bucket>/images", bucket_content.BucketImagesView.as_view(), name="bucket_images"),
    path("buckets/<str:bucket>/images/<str:image_id>", bucket_content.BucketImageView.as_view(), name="bucket_image"),
    path("buckets/<str:bucket>/objects", bucket_content.BucketObjectsView.as_view(), name="bucket_objects"),
    path(
        "buckets/<str:bucket>/objects/<str:object_id>", bucket_content.BucketObjectView.as_view(), name="bucket_object"
    ),
]
