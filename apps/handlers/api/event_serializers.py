"""Queries of event generation."""

from typing import Any

from rest_framework import serializers

from apps.common.fields import CommaListField, FlagField, UUIDField
from apps.common.filters.kinds import FiniteFloatField
from apps.handlers.policies import PoliciesSerializer
from apps.recognition.api.input_schemas import detail_fields
from apps.recognition.api.openapi import BodiesForm
from apps.recognition.types import ImageType

MAX_TAGS = 30


class ImageQuery(serializers.Serializer[Any]):
    """Query parameters that control the decoding of images."""

    image_type = serializers.ChoiceField(choices=[(each.value, each.name) for each in ImageType], default=0)
    warped_image = FlagField(default=False, help_text="Older form of `image_type` 1.")
    use_exif_info = FlagField(default=True, help_text="Turn pictures by their EXIF orientation.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kind = ImageType(attrs["image_type"])
        attrs["image_type"] = ImageType.FACE_WARP if attrs.pop("warped_image") and kind is ImageType.RAW else kind
        return attrs


class EventsQuery(ImageQuery):
    external_id = serializers.CharField(
        help_text="External id of the event and of its face.", max_length=36, allow_blank=True, default=""
    )
    user_data = serializers.CharField(
        help_text="User data of the event and of its face.", max_length=128, allow_blank=True, default=""
    )
    source = serializers.CharField(help_text="Source of the event, such as a camera.", max_length=128, default=None)  # type: ignore[assignment]  # DRF takes it out
    stream_id = UUIDField(default=None, help_text="Stream of the event.")
    track_id = serializers.CharField(help_text="Track of the person in the source.", max_length=36, default=None)
    tags = CommaListField(
        child=serializers.CharField(max_length=36), max_length=MAX_TAGS, default=list, help_text="Tags of the event."
    )
    city = serializers.CharField(help_text="City of the event.", max_length=36, default=None)
    area = serializers.CharField(help_text="Area of the event.", max_length=36, default=None)
    district = serializers.CharField(help_text="District of the event.", max_length=36, default=None)
    street = serializers.CharField(help_text="Street of the event.", max_length=128, default=None)
    house_number = serializers.CharField(help_text="House number of the event.", max_length=36, default=None)
    longitude = FiniteFloatField(
        min_value=-180, max_value=180, default=None, help_text="Position of the event, degrees."
    )
    latitude = FiniteFloatField(min_value=-90, max_value=90, default=None, help_text="Position of the event, degrees.")
    aggregate_attributes = FlagField(default=False, help_text="Also estimate all images as one person.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["longitude"] is None) != (attrs["latitude"] is None):
            raise serializers.ValidationError({"longitude": "'longitude' and 'latitude' must be given together."})
        attrs["tags"] = tuple(dict.fromkeys(attrs["tags"]))
        return super().validate(attrs)


class EventsForm(BodiesForm):
    """Images with rectangles, and details of all images. A dynamic handler needs `policies`."""

    policies = PoliciesSerializer(required=False)

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | detail_fields()
