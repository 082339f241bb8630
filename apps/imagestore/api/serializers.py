"""Bodies and query parameters of the Image Store."""

from typing import Any

from rest_framework import serializers

from apps.common.api.fields import FlagField
from apps.common.api.responses import created_serializer
from apps.common.api.validation import StrictSerializer
from apps.imagestore.types import KEEP, TTL_DAYS

MAX_IDS = 1000
DAYS = [(days, str(days)) for days in (KEEP, *TTL_DAYS)]


class TtlQuery(serializers.Serializer[Any]):
    """`ttl` in days, -1 for ever; without it the bucket decides."""

    ttl = serializers.ChoiceField(choices=DAYS, required=False)


class ImageQuery(serializers.Serializer[Any]):
    """`with_meta=1` returns the stored `X-Luna-Meta-*` headers."""

    with_meta = FlagField(default=0)


def ids_field() -> serializers.ListField:
    return serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MAX_IDS)


def ttl_field() -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=DAYS)


class SampleIdsBody(StrictSerializer):
    """Samples to delete."""

    sample_ids = ids_field()


class SampleTtlBody(SampleIdsBody):
    """Samples and their new time to live in days, -1 for ever."""

    ttl = ttl_field()


class ImageTtlBody(StrictSerializer):
    """Images and their new time to live in days, -1 for ever."""

    image_ids = ids_field()
    ttl = ttl_field()


class ObjectTtlBody(StrictSerializer):
    """Objects and their new time to live in days, -1 for ever."""

    object_ids = ids_field()
    ttl = ttl_field()


SampleCreated = created_serializer("sample_id")
ImageCreated = created_serializer("image_id")
ObjectCreated = created_serializer("object_id")


class ImagesCreated(serializers.Serializer[Any]):
    """Several images of one multipart body, in its order."""

    images = ImageCreated(many=True)
