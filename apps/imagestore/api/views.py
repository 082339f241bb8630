"""Views of samples, images and objects."""

import mimetypes
from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import ParseError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, read_scope, write_account
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import created
from apps.common.api.views import LunaView, path_uuid
from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.common.limits import image_too_large
from apps.common.links import links
from apps.common.validation import checked_body, checked_query
from apps.imagestore.api.content import (
    META_PREFIX,
    BodyStream,
    content_response,
    head_response,
    header_safe,
    headers_as_sent,
    image_read,
    meta_of_headers,
)
from apps.imagestore.api.serializers import (
    ImageQuery,
    ImagesCreatedJson,
    ImageTtlBody,
    ObjectCreated,
    ObjectTtlBody,
    SampleCreated,
    SampleIdsBody,
    SampleTtlBody,
    TtlQuery,
)
from apps.imagestore.buckets import objects_ttl_set
from apps.imagestore.choices import Bucket, holds_pictures
from apps.imagestore.image_headers import CONTENT_TYPES, Picture, picture_check, sample_check
from apps.imagestore.models import StoredObject
from apps.imagestore.selectors import object_get
from apps.imagestore.services import object_delete, object_store, object_view, objects_delete, samples_store
from apps.imagestore.types import NewObject

DONE = OpenApiResponse(description="Done.")
MAX_CONTENT_TYPE_CHARACTERS = 128
JSON_TYPES = ("application/json", "application/msgpack")
BYTES = {(200, "image/*"): OpenApiTypes.BINARY, (206, "image/*"): OpenApiTypes.BINARY}
CONDITIONAL = {
    304: OpenApiResponse(description="Not modified."),
    416: OpenApiResponse(description="Range not satisfiable."),
}
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", str, OpenApiParameter.HEADER, description="`ETag` of a known version: 304 if it is unchanged."
)
RANGE = OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="Part of the bytes: `bytes=0-1023`.")
ACCOUNT = OpenApiParameter(
    "account_id", OpenApiTypes.UUID, description="The object's account, within the client's scope."
)
PICTURES_FORM = {
    "type": "object",
    "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
}
# Generators of clients need a plain type besides the wildcard.
ANY_BYTES = dict.fromkeys(("application/octet-stream", "*/*"), OpenApiTypes.BINARY)
PICTURES = dict.fromkeys(sorted(CONTENT_TYPES), OpenApiTypes.BINARY)


class StoredView(LunaView):
    """A stored object of a bucket."""

    bucket: str

    def key(self, text: str) -> UUID:
        return path_uuid(text, errors.IMAGE_NOT_FOUND if holds_pictures(self.bucket) else errors.OBJECT_NOT_FOUND)

    def stored(self, request: Request, object_id: str) -> StoredObject:
        return object_get(scope=read_scope(request), bucket=self.bucket, object_id=self.key(object_id))

    def viewed(self, request: Request, object_id: str) -> StoredObject:
        """Return the row of an object whose bytes will be sent, and write its audit line."""
        return object_view(
            scope=read_scope(request),
            bucket=self.bucket,
            object_id=self.key(object_id),
            actor=actor_of(request),
        )

    def remove(self, request: Request, object_id: str) -> Response:
        key = self.key(object_id)
        object_delete(account_id=write_account(request), bucket=self.bucket, object_id=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def deletion(request: Request, bucket: str, object_ids: Sequence[UUID]) -> Response:
    objects_delete(
        account_id=write_account(request), bucket=bucket, object_ids=object_ids, actor=actor_of(request)
    )  # fmt: skip
    return Response(status=status.HTTP_204_NO_CONTENT)


def ttl_change(request: Request, bucket: str, body: dict[str, Any], ids: str) -> Response:
    objects_ttl_set(
        account_id=write_account(request), bucket=bucket, object_ids=body[ids], ttl_days=body["ttl"]
    )  # fmt: skip
    return Response(status=status.HTTP_204_NO_CONTENT)


class SamplesView(LunaView):
    """Face or body warps, made by the platform or by a client."""

    bucket: ClassVar[Bucket]
    size: ClassVar[tuple[int, int]]  # width, height in pixels
    route: ClassVar[str]  # of one of them

    @extend_schema(summary="Store a sample", request=PICTURES, parameters=[TtlQuery], responses={201: SampleCreated})
    def post(self, request: Request) -> Response:
        query = checked_query(TtlQuery, request)
        picture = sample_check(
            data=image_read(request),
            content_type=request.content_type,
            size=self.size,
        )
        stored = object_store(
            bucket=self.bucket,
            account_id=write_account(request),
            data=picture.data,
            content_type=picture.content_type,
            ttl_days=query.get("ttl"),
        )
        return created("sample_id", stored.object_id, address(self.route, stored.object_id))

    @extend_schema(summary="Delete samples", request=SampleIdsBody, responses={204: DONE})
    def delete(self, request: Request) -> Response:
        return deletion(request, self.bucket, checked_body(SampleIdsBody, request)["sample_ids"])

    @extend_schema(summary="Change the time to live of samples", request=SampleTtlBody, responses={204: DONE})
    def put(self, request: Request) -> Response:
        return ttl_change(request, self.bucket, checked_body(SampleTtlBody, request), "sample_ids")


class FaceSamplesView(SamplesView):
    """Face samples, 250×250."""

    bucket, size, route = Bucket.FACE_SAMPLES, (250, 250), "face_sample"
    permissions = {
        "POST": ("face_sample", "creation"),
        "PUT": ("face_sample", "deletion"),
        "DELETE": ("face_sample", "deletion"),
    }


class BodySamplesView(SamplesView):
    """Body samples, 128×250."""

    bucket, size, route = Bucket.BODY_SAMPLES, (128, 250), "body_sample"
    permissions = {
        "POST": ("body_sample", "creation"),
        "PUT": ("body_sample", "deletion"),
        "DELETE": ("body_sample", "deletion"),
    }


class SampleView(StoredView):
    """A sample."""

    @extend_schema(
        summary="Get a sample", parameters=[ACCOUNT, RANGE, IF_NONE_MATCH], responses={**BYTES, **CONDITIONAL}
    )
    def get(self, request: Request, sample_id: str) -> HttpResponseBase:
        return content_response(request, self.viewed(request, sample_id))

    def head(self, request: Request, sample_id: str) -> HttpResponseBase:
        return head_response(self.stored(request, sample_id))

    @extend_schema(summary="Delete a sample", responses={204: DONE})
    def delete(self, request: Request, sample_id: str) -> Response:
        return self.remove(request, sample_id)


class FaceSampleView(SampleView):
    """A face sample."""

    bucket = Bucket.FACE_SAMPLES
    permissions = {"GET": ("face_sample", "view"), "DELETE": ("face_sample", "deletion")}


class BodySampleView(SampleView):
    """A body sample."""

    bucket = Bucket.BODY_SAMPLES
    permissions = {"GET": ("body_sample", "view"), "DELETE": ("body_sample", "deletion")}


class ImagesView(LunaView):
    """Source images."""

    bucket: str = Bucket.IMAGES
    route = "image"  # of one of them
    place: tuple[str, ...] = ()  # ids in its path before its own
    permissions = {"POST": ("image", "creation"), "PUT": ("image", "deletion")}
    parser_classes = (*LunaView.parser_classes, MultiPartParser)

    @extend_schema(
        summary="Store an image, or the images of a multipart body",
        description=f"Headers `{META_PREFIX}<key>` are stored with the image.",
        request={**PICTURES, "multipart/form-data": PICTURES_FORM},
        parameters=[TtlQuery],
        responses={
            201: ImagesCreatedJson,
        },
    )
    def post(self, request: Request) -> Response:
        query = checked_query(TtlQuery, request)
        meta = meta_of_headers(request)
        several = request.content_type.startswith("multipart/form-data")
        pictures = pictures_of_form(request) if several else [picture_of_body(request)]
        stored = samples_store(
            items=[
                NewObject(
                    bucket=self.bucket,
                    account_id=write_account(request),
                    data=picture.data,
                    content_type=picture.content_type,
                    ttl_days=query.get("ttl"),
                    meta=meta,
                )
                for picture in pictures
            ]
        )
        if not several:
            return created("image_id", stored[0].object_id, address(self.route, *self.place, stored[0].object_id))
        answers = [
            {"image_id": str(row.object_id), **links(address(self.route, *self.place, row.object_id))} for row in stored
        ]
        return Response({"images": answers}, status=status.HTTP_201_CREATED)

    @extend_schema(
        summary="Change the time to live of images",
        request=dict.fromkeys(JSON_TYPES, ImageTtlBody),
        responses={204: DONE},
    )
    def put(self, request: Request) -> Response:
        return ttl_change(request, self.bucket, checked_body(ImageTtlBody, request), "image_ids")


def picture_of_body(request: Request) -> Picture:
    return picture_check(
        data=image_read(request),
        content_type=request.content_type,
        max_pixels=config(Images).max_pixels,
    )


def pictures_of_form(request: Request) -> list[Picture]:
    """Validate the pictures of a multipart body.

    Raises LunaError NO_DATA without a file, DUPLICATE_FILE_NAME for a repeated file name,
    BAD_MULTIPART_IMAGE_CONTENT_TYPE for a part that is not an image, and the errors of `picture_check`.
    """
    try:
        uploads: list[Any] = [upload for _, group in request.FILES.lists() for upload in group]
    except ParseError as error:
        raise LunaError(errors.INVALID_REQUEST, "the multipart body is malformed") from error
    if not uploads:
        raise LunaError(errors.NO_DATA)
    names: set[str] = set()
    pictures = []
    for upload in uploads:
        if upload.name in names:
            raise LunaError(errors.DUPLICATE_FILE_NAME, upload.name)
        names.add(upload.name)
        if upload.size > config(Images).max_bytes:
            raise image_too_large(f"`{upload.name}`")
        content_type = upload.content_type or ""
        if not content_type.startswith("image/"):
            raise LunaError(errors.BAD_MULTIPART_IMAGE_CONTENT_TYPE)
        pictures.append(
            picture_check(
                data=upload.read(), content_type=content_type, max_pixels=config(Images).max_pixels
            )
        )  # fmt: skip
    return pictures


class ImageView(StoredView):
    """A source image."""

    bucket: str = Bucket.IMAGES
    permissions = {"GET": ("image", "view"), "DELETE": ("image", "deletion")}

    @extend_schema(
        summary="Get an image",
        parameters=[ImageQuery, ACCOUNT, RANGE, IF_NONE_MATCH],
        responses={**BYTES, **CONDITIONAL},
    )
    def get(self, request: Request, image_id: str) -> HttpResponseBase:
        headers_of = self.meta_headers(request)
        stored = self.viewed(request, image_id)
        return content_response(request, stored, headers_of(stored))

    def head(self, request: Request, image_id: str) -> HttpResponseBase:
        headers_of = self.meta_headers(request)
        stored = self.stored(request, image_id)
        return head_response(stored, headers_of(stored))

    @staticmethod
    def meta_headers(request: Request) -> Any:
        """Return a function that gives a row's metadata headers, or none without `with_meta=1` (query or header)."""
        with_meta = checked_query(ImageQuery, request)["with_meta"] or any(
            name in ("with_meta", "with-meta") and value == "1" for name, value in headers_as_sent(request)
        )

        def headers(stored: StoredObject) -> dict[str, str]:
            return {META_PREFIX + key: str(value) for key, value in stored.meta.items()} if with_meta else {}

        return headers

    @extend_schema(summary="Delete an image", responses={204: DONE})
    def delete(self, request: Request, image_id: str) -> Response:
        return self.remove(request, image_id)


class ObjectsView(LunaView):
    """Objects of any content type, such as archives, reports and texts."""

    bucket: str = Bucket.OBJECTS
    route = "object"  # of one of them
    place: tuple[str, ...] = ()  # ids in its path before its own
    permissions = {"POST": ("object", "creation"), "PUT": ("object", "deletion")}

    @extend_schema(
        summary="Store an object",
        request=ANY_BYTES,
        parameters=[TtlQuery],
        responses={201: ObjectCreated},
    )
    def post(self, request: Request) -> Response:
        stored = object_of_body(request, self.bucket)
        return created("object_id", stored.object_id, address(self.route, *self.place, stored.object_id))

    @extend_schema(summary="Change the time to live of objects", request=ObjectTtlBody, responses={204: DONE})
    def put(self, request: Request) -> Response:
        return ttl_change(request, self.bucket, checked_body(ObjectTtlBody, request), "object_ids")


def object_of_body(request: Request, bucket: str, object_id: UUID | None = None) -> StoredObject:
    """Store the body as it arrives. Raises LunaError BAD_CONTENT_TYPE for an invalid media type."""
    query = checked_query(TtlQuery, request)
    content_type = request.META.get("CONTENT_TYPE") or "application/octet-stream"
    if len(content_type) > MAX_CONTENT_TYPE_CHARACTERS or not header_safe(content_type) or "/" not in content_type:
        raise LunaError(errors.BAD_CONTENT_TYPE)
    return object_store(
        bucket=bucket,
        account_id=write_account(request),
        data=BodyStream(request),
        content_type=content_type,
        object_id=object_id,
        ttl_days=query.get("ttl"),
    )


class ObjectView(StoredView):
    """An object."""

    bucket: str = Bucket.OBJECTS
    permissions = {"GET": ("object", "view"), "DELETE": ("object", "deletion")}

    @extend_schema(
        summary="Get an object",
        parameters=[ACCOUNT, RANGE, IF_NONE_MATCH],
        responses={(200, "*/*"): OpenApiTypes.BINARY, (206, "*/*"): OpenApiTypes.BINARY, **CONDITIONAL},
    )
    def get(self, request: Request, object_id: str) -> HttpResponseBase:
        stored = self.viewed(request, object_id)
        return content_response(request, stored, disposition(stored))

    def head(self, request: Request, object_id: str) -> HttpResponseBase:
        stored = self.stored(request, object_id)
        return head_response(stored, disposition(stored))

    @extend_schema(summary="Delete an object", responses={204: DONE})
    def delete(self, request: Request, object_id: str) -> Response:
        return self.remove(request, object_id)


def disposition(stored: StoredObject) -> dict[str, str]:
    """Return headers for a download as `<id>.<ext>`, so that browsers never render stored content as a page."""
    extension = mimetypes.guess_extension(stored.content_type.partition(";")[0].strip()) or ".bin"
    return {"Content-Disposition": f'attachment; filename="{stored.object_id}{extension}"'}
