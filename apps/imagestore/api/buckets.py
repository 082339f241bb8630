"""Views of buckets below `/1`, as in the Image Store service. All accounts share them, so only administrators may."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, require_password
from apps.accounts.choices import AccountType
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.views import LunaView
from apps.common.errors import LunaError
from apps.common.links import links, location
from apps.common.parts import IMAGE_STORE
from apps.common.times import format_time
from apps.common.validation import checked_query
from apps.imagestore import buckets
from apps.imagestore.api.serializers import ttl_field
from apps.imagestore.models import StoredBucket
from apps.imagestore.types import KEEP

DONE = OpenApiResponse(description="Done.")


class BucketQuery(serializers.Serializer[Any]):
    """A new bucket. `ttl`: time to live in days, -1 for ever; `ttd` is an alias."""

    bucket = serializers.CharField(max_length=64, help_text="Name of the bucket.")
    ttl = ttl_field(required=False)
    ttd = ttl_field(required=False, help_text="Alias of `ttl`.")


class BucketTtlQuery(serializers.Serializer[Any]):
    ttl = ttl_field()


class BucketSerializer(serializers.Serializer[Any]):
    """A bucket. `ttl` in days, -1 for ever. The times of an unchanged platform bucket are null."""

    bucket = serializers.CharField()
    ttl = serializers.IntegerField()
    create_time = serializers.DateTimeField(allow_null=True)
    last_update_time = serializers.DateTimeField(allow_null=True)


class BucketsSerializer(serializers.Serializer[Any]):
    buckets = BucketSerializer(many=True)


class BucketCreated(serializers.Serializer[Any]):
    bucket = serializers.CharField()
    url = serializers.CharField()
    external_url = serializers.CharField()


def bucket_shape(bucket: StoredBucket) -> dict[str, Any]:
    return {
        "bucket": bucket.name,
        "ttl": KEEP if bucket.ttl_days is None else bucket.ttl_days,
        "create_time": format_time(bucket.create_time),
        "last_update_time": format_time(bucket.last_update_time),
    }


class BucketsView(LunaView):
    """The buckets of the platform and of clients."""

    parts = (IMAGE_STORE,)

    @extend_schema(summary="List buckets", responses=BucketsSerializer)
    def get(self, request: Request) -> Response:
        require_admin(request)
        return Response({"buckets": [bucket_shape(bucket) for bucket in buckets.buckets_list()]})

    @extend_schema(
        summary="Create a bucket", parameters=[BucketQuery], request=None, responses={201: BucketCreated}
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        require_admin(request)
        query = checked_query(BucketQuery, request)
        bucket = buckets.bucket_create(
            name=query["bucket"], ttl_days=query.get("ttl", query.get("ttd")), actor=actor_of(request)
        )
        path = address("bucket", bucket.name)
        body = {"bucket": bucket.name, **links(path)}
        return Response(body, status=status.HTTP_201_CREATED, headers={"Location": location(path)})


class BucketView(LunaView):
    """A bucket."""

    parts = (IMAGE_STORE,)

    @extend_schema(summary="Get a bucket", responses=BucketSerializer)
    def get(self, request: Request, bucket: str) -> Response:
        require_admin(request)
        return Response(bucket_shape(buckets.bucket_get(name=bucket_name(bucket))))

    @extend_schema(
        summary="Change the time to live of a bucket", parameters=[BucketTtlQuery], request=None, responses={204: DONE}
    )
    def put(self, request: Request, bucket: str) -> Response:
        require_admin(request)
        query = checked_query(BucketTtlQuery, request)
        buckets.bucket_ttl_set(name=bucket_name(bucket), ttl_days=query["ttl"], actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Delete an empty bucket", responses={204: DONE})
    def delete(self, request: Request, bucket: str) -> Response:
        require_admin(request)
        buckets.bucket_delete(name=bucket_name(bucket), actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def require_admin(request: Request) -> None:
    """Require an administrator's password.

    Raises LunaError ACCESS_DENIED for another account, TOKEN_AUTHORIZATION_DENIED for a token.
    """
    if require_password(request).account_type != AccountType.ADMIN:
        raise LunaError(errors.ACCESS_DENIED)


def bucket_name(text: str) -> str:
    """Validate a bucket name of a path. Raises LunaError BUCKET_NOT_FOUND for an invalid one."""
    if not buckets.BUCKET_NAME.fullmatch(text):
        raise LunaError(errors.BUCKET_NOT_FOUND, text)
    return text
