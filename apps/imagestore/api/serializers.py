"""Bodies and query parameters of the Image Store."""

from typing import Any, TypedDict

from rest_framework import serializers

from apps.common import errors
from apps.common.api.responses import created_serializer
from apps.common.errors import LunaError
from apps.common.fields import FlagField, UUIDField
from apps.common.json_types import IdJson
from apps.common.links import LinksJson
from apps.common.validation import StrictSerializer
from apps.imagestore.types import KEEP, TTL_DAYS

MAX_IDS = 1000
DAYS = [(days, str(days)) for days in (KEEP, *TTL_DAYS)]


def ttl_field(**kwargs: Any) -> serializers.ChoiceField:
    text = "Time to live in days, -1 for ever. Default: that of the bucket."
    return serializers.ChoiceField(**{"choices": DAYS, "help_text": text, **kwargs})


class TtlQuery(serializers.Serializer[Any]):
    """`ttl`: time to live in days, -1 for ever. Default: the bucket's."""

    ttl = ttl_field(required=False)


class ImageQuery(serializers.Serializer[Any]):
    """`with_meta=1` returns the stored `X-Luna-Meta-*` headers."""

    with_meta = FlagField(default=0, help_text="1: return the stored headers `X-Luna-Meta-*`.")


class IdsField(serializers.ListField):
    """1 to `MAX_IDS` UUIDs. Raises a LunaError with the code `too_many` for more."""

    def __init__(self, too_many: int) -> None:
        self.too_many = too_many
        super().__init__(child=UUIDField(), min_length=1, max_length=MAX_IDS)

    def to_internal_value(self, data: Any) -> list[Any]:
        if isinstance(data, list) and len(data) > MAX_IDS:
            raise LunaError(self.too_many)
        return super().to_internal_value(data)


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


class StoredImageJson(LinksJson):
    image_id: IdJson


class ImagesCreatedJson(TypedDict, total=False):
    """One image with its id; `images` instead for a multipart body, in its order."""

    image_id: IdJson
    url: str
    external_url: str
    images: list[StoredImageJson]
