"""What views of samples, images and objects share."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, read_scope, write_account
from apps.common import errors
from apps.common.api.views import LunaView, path_uuid
from apps.common.parts import IMAGE_STORE
from apps.imagestore.buckets import objects_ttl_set
from apps.imagestore.choices import holds_pictures
from apps.imagestore.image_headers import CONTENT_TYPES
from apps.imagestore.models import StoredObject
from apps.imagestore.selectors import object_get
from apps.imagestore.services import object_delete, object_view, objects_delete

DONE = OpenApiResponse(description="Done.")
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
PICTURES = dict.fromkeys(sorted(CONTENT_TYPES), OpenApiTypes.BINARY)


class StoredView(LunaView):
    """A stored object of a bucket."""

    parts = (IMAGE_STORE,)
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
