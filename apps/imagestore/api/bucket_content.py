"""Images and objects in a named bucket, below `/1` as in the Image Store service.

They work like `/6/images` and `/6/objects`, in the bucket of the path. Accounts see only their own objects, and may
choose their ids.
"""

from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import write_account
from apps.common.addresses import address
from apps.common.api.responses import created
from apps.common.api.views import LunaView
from apps.common.validation import checked_body, checked_query
from apps.imagestore.api.buckets import bucket_name
from apps.imagestore.api.content import meta_of_headers
from apps.imagestore.api.images import JSON_TYPES, ImagesView, ImageView, picture_of_body
from apps.imagestore.api.objects import ANY_BYTES, ObjectsView, ObjectView, object_of_body
from apps.imagestore.api.serializers import ImageCreated, ImageIdsBody, ObjectCreated, ObjectIdsBody, TtlQuery
from apps.imagestore.api.stored import DONE, PICTURES, deletion
from apps.imagestore.buckets import folder_get
from apps.imagestore.choices import Kind
from apps.imagestore.services import object_store


class InBucket(LunaView):
    """A mixin that reads the bucket from the path, so that the views of `/6` work on it."""

    kind: ClassVar[Kind]
    bucket: str
    place: tuple[str, ...] = ()

    def dispatch(self, request: HttpRequest, *args: Any, bucket: str, **kwargs: Any) -> HttpResponseBase:
        self.bucket = bucket
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Look up the bucket after the permission check, so that unauthorised clients learn no bucket names."""
        super().initial(request, *args, **kwargs)
        name = bucket_name(self.bucket)
        self.bucket, self.place = folder_get(name=name, kind=self.kind), (name,)


class BucketImagesView(InBucket, ImagesView):
    """Images in a bucket."""

    kind, route = Kind.IMAGES, "bucket_image"
    permissions = {**ImagesView.permissions, "DELETE": ("image", "deletion")}

    @extend_schema(summary="Delete images", request=dict.fromkeys(JSON_TYPES, ImageIdsBody), responses={204: DONE})
    def delete(self, request: Request) -> Response:
        return deletion(request, self.bucket, checked_body(ImageIdsBody, request)["image_ids"])


class BucketImageView(InBucket, ImageView):
    """An image in a bucket."""

    kind, route = Kind.IMAGES, "bucket_image"
    permissions = {**ImageView.permissions, "PUT": ("image", "creation")}

    @extend_schema(
        summary="Store an image under a chosen id",
        request=PICTURES,
        parameters=[TtlQuery],
        responses={201: ImageCreated},
    )
    def put(self, request: Request, image_id: str) -> Response:
        query = checked_query(TtlQuery, request)
        picture = picture_of_body(request)
        stored = object_store(
            bucket=self.bucket,
            account_id=write_account(request),
            data=picture.data,
            content_type=picture.content_type,
            object_id=self.key(image_id),
            ttl_days=query.get("ttl"),
            meta=meta_of_headers(request),
        )
        return created("image_id", stored.object_id, address(self.route, *self.place, stored.object_id))


class BucketObjectsView(InBucket, ObjectsView):
    """Objects in a bucket."""

    kind, route = Kind.OBJECTS, "bucket_object"
    permissions = {**ObjectsView.permissions, "DELETE": ("object", "deletion")}

    @extend_schema(summary="Delete objects", request=ObjectIdsBody, responses={204: DONE})
    def delete(self, request: Request) -> Response:
        return deletion(request, self.bucket, checked_body(ObjectIdsBody, request)["object_ids"])


class BucketObjectView(InBucket, ObjectView):
    """An object in a bucket."""

    kind, route = Kind.OBJECTS, "bucket_object"
    permissions = {**ObjectView.permissions, "PUT": ("object", "creation")}

    @extend_schema(
        summary="Store an object under a chosen id",
        request=ANY_BYTES,
        parameters=[TtlQuery],
        responses={201: ObjectCreated},
    )
    def put(self, request: Request, object_id: str) -> Response:
        stored = object_of_body(request, self.bucket, self.key(object_id))
        return created("object_id", stored.object_id, address(self.route, *self.place, stored.object_id))
