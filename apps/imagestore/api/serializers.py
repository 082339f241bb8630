"""Bodies and query parameters of the Image Store."""

from typing import Any

from rest_framework import serializers

from apps.common.api.fields import FlagField
from apps.common.api.responses import created_serializer
from apps.common.api.validation import StrictSerializer
from apps.imagestore.types import KEEP, TTL_DAYS

MAX_IDS = 1000


class TtlQuery(serializers.Serializer[Any]):
    """`ttl` in days, -1 for ever; without it the bucket decides."""

    ttl = serializers.ChoiceField(choices=[(days, str(days)) for days in (KEEP, *TTL_DAYS)], required=False)


class ImageQuery(serializers.Serializer[Any]):
    """`with_meta=1` returns the stored `X-Luna-Meta-*` headers."""

    with_meta = FlagField(default=0)


class SampleIdsBody(StrictSerializer):
    """Ids of samples to delete."""

    sample_ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MAX_IDS)


SampleCreated = created_serializer("sample_id")
ImageCreated = created_serializer("image_id")
ObjectCreated = created_serializer("object_id")


class ImagesCreated(serializers.Serializer[Any]):
    """Several images of one multipart body, in its order."""

    images = ImageCreated(many=True)
