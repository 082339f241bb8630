"""Views of samples."""

from typing import ClassVar

from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import write_account
from apps.common.addresses import address
from apps.common.api.responses import created
from apps.common.api.views import LunaView
from apps.common.parts import IMAGE_STORE
from apps.common.validation import checked_body, checked_query
from apps.imagestore.api.content import content_response, head_response, image_read
from apps.imagestore.api.serializers import SampleCreated, SampleIdsBody, SampleTtlBody, TtlQuery
from apps.imagestore.api.stored import (
    ACCOUNT,
    BYTES,
    CONDITIONAL,
    DONE,
    IF_NONE_MATCH,
    PICTURES,
    RANGE,
    StoredView,
    deletion,
    ttl_change,
)
from apps.imagestore.choices import Bucket
from apps.imagestore.image_headers import sample_check
from apps.imagestore.services import object_store


class SamplesView(LunaView):
    """Face or body warps, made by the platform or by a client."""

    parts = (IMAGE_STORE,)
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
