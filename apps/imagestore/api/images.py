"""Views of source images."""

from typing import Any

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import write_account
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.multipart import read_parts
from apps.common.api.responses import created
from apps.common.api.views import LunaView
from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.common.limits import image_too_large
from apps.common.links import links
from apps.common.parts import IMAGE_STORE
from apps.common.validation import checked_body, checked_query
from apps.imagestore.api.content import (
    META_PREFIX,
    content_response,
    head_response,
    headers_as_sent,
    image_read,
    meta_of_headers,
)
from apps.imagestore.api.serializers import ImageQuery, ImagesCreatedJson, ImageTtlBody, TtlQuery
from apps.imagestore.api.stored import (
    ACCOUNT,
    BYTES,
    CONDITIONAL,
    DONE,
    IF_NONE_MATCH,
    PICTURES,
    RANGE,
    StoredView,
    ttl_change,
)
from apps.imagestore.choices import Bucket
from apps.imagestore.image_headers import Picture, picture_check
from apps.imagestore.models import StoredObject
from apps.imagestore.services import samples_store
from apps.imagestore.types import NewObject

JSON_TYPES = ("application/json", "application/msgpack")
MAX_PICTURES = 1000  # of a multipart body
PICTURES_FORM = {
    "type": "object",
    "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
}


class ImagesView(LunaView):
    """Source images."""

    parts = (IMAGE_STORE,)
    bucket: str = Bucket.IMAGES
    route = "image"  # of one of them
    place: tuple[str, ...] = ()  # ids in its path before its own
    permissions = {"POST": ("image", "creation"), "PUT": ("image", "deletion")}

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

    Raises LunaError NO_DATA without a file, DUPLICATE_FILE_NAME for a repeated file name, PAYLOAD_TOO_LARGE,
    BAD_MULTIPART_IMAGE_CONTENT_TYPE for a part that is not an image, INVALID_REQUEST for more than `MAX_PICTURES`, and
    the errors of `read_parts` and `picture_check`.
    """
    if request.stream is None:
        raise LunaError(errors.NO_DATA)
    pictures: dict[str, Picture] = {}
    max_bytes = config(Images).max_bytes
    for part in read_parts(request.stream, request.content_type, max_part_bytes=max_bytes):
        if not part.filename:  # a text field
            continue
        if part.filename in pictures:
            raise LunaError(errors.DUPLICATE_FILE_NAME, part.filename)
        if len(pictures) == MAX_PICTURES:
            raise LunaError(errors.INVALID_REQUEST, f"the body has more than {MAX_PICTURES} images")
        if len(part.data) > max_bytes:
            raise image_too_large(f"`{part.filename}`")
        if not part.content_type.startswith("image/"):
            raise LunaError(errors.BAD_MULTIPART_IMAGE_CONTENT_TYPE)
        pictures[part.filename] = picture_check(
            data=part.data, content_type=part.content_type, max_pixels=config(Images).max_pixels
        )
    if not pictures:
        raise LunaError(errors.NO_DATA)
    return list(pictures.values())


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
