"""Views of objects: files of any content type."""

import mimetypes
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import write_account
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import created
from apps.common.api.views import LunaView
from apps.common.errors import LunaError
from apps.common.parts import IMAGE_STORE
from apps.common.validation import checked_body, checked_query
from apps.imagestore.api.content import BodyStream, content_response, head_response, header_safe
from apps.imagestore.api.serializers import ObjectCreated, ObjectTtlBody, TtlQuery
from apps.imagestore.api.stored import ACCOUNT, CONDITIONAL, DONE, IF_NONE_MATCH, RANGE, StoredView, ttl_change
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_store

MAX_CONTENT_TYPE_CHARACTERS = 128
# Generators of clients need a plain type besides the wildcard.
ANY_BYTES = dict.fromkeys(("application/octet-stream", "*/*"), OpenApiTypes.BINARY)


class ObjectsView(LunaView):
    """Objects of any content type, such as archives, reports and texts."""

    parts = (IMAGE_STORE,)
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
