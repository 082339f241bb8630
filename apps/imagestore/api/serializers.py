"""Bodies and query parameters of the Image Store."""

from typing import Any

from rest_framework import serializers

from apps.common import errors
from apps.common.api.responses import created_serializer
from apps.common.errors import LunaError
from apps.common.fields import FlagField, UUIDField
from apps.common.validation import StrictSerializer
from apps.imagestore.types import KEEP, TTL_DAYS

MAX_IDS = 1000
DAYS = [(days, str(days)) for days in (KEEP, *TTL_DAYS)]


class TtlQuery(serializers.Serializer[Any]):
    """`ttl`: time to live in days, -1 for ever. Default: the bucket's."""

    ttl = serializers.ChoiceField(choices=DAYS, required=False)


class ImageQuery(serializers.Serializer[Any]):
    """`with_meta=1` returns the stored `X-Luna-Meta-*` headers."""

    with_meta = FlagField(default=0)


class IdsField(serializers.ListField):
    """1 to `MAX_IDS` UUIDs. Raises a LunaError with the code `too_many` for more."""

    def __init__(self, too_many: int) -> None:
        self.too_many = too_many
        super().__init__(child=UUIDField(), min_length=1, max_length=MAX_IDS)

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > MAX_IDS:
            raise LunaError(self.too_many)
        return super().to_internal_value(data)


def ttl_field() -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=DAYS)


class SampleIdsBody(StrictSerializer):
    """Samples to delete."""

    sample_ids = IdsField(errors.IMAGES_NOT_FOUND)


class SampleTtlBody(SampleIdsBody):
    """Samples and their new time to live in days, -1 for ever."""

    ttl = ttl_field()


class ImageIdsBody(StrictSerializer):
    """Images to delete."""

    image_ids = IdsField(errors.IMAGES_NOT_FOUND)


class ImageTtlBody(ImageIdsBody):
    """Images and their new time to live in days, -1 for ever."""

    ttl = ttl_field()


class ObjectIdsBody(StrictSerializer):
    """Objects to delete."""

    object_ids = IdsField(errors.STORED_OBJECTS_NOT_FOUND)


class ObjectTtlBody(ObjectIdsBody):
    """Objects and their new time to live in days, -1 for ever."""

    ttl = ttl_field()


SampleCreated = created_serializer("sample_id")
ImageCreated = created_serializer("image_id")
ObjectCreated = created_serializer("object_id")


class ImagesCreated(serializers.Serializer[Any]):
    """The images of a multipart body, in its order."""

    images = ImageCreated(many=True)
