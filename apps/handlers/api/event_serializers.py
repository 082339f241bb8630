"""Query and response of event generation."""

from typing import Any

from rest_framework import serializers

from apps.common.fields import CommaListField, FlagField, UUIDField
from apps.common.filters.kinds import FiniteFloatField
from apps.recognition.api.answers import StatusSerializer
from apps.recognition.types import ImageType

MAX_TAGS = 30


class ImageQuery(serializers.Serializer[Any]):
    """Query parameters that control the decoding of images."""

    image_type = serializers.ChoiceField(choices=[(each.value, each.name) for each in ImageType], default=0)
    warped_image = FlagField(default=False, help_text="Older form of `image_type` 1.")
    use_exif_info = FlagField(default=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kind = ImageType(attrs["image_type"])
        attrs["image_type"] = ImageType.FACE_WARP if attrs.pop("warped_image") and kind is ImageType.RAW else kind
        return attrs


class EventsQuery(ImageQuery):
    external_id = serializers.CharField(max_length=36, allow_blank=True, default="")
    user_data = serializers.CharField(max_length=128, allow_blank=True, default="")
    source = serializers.CharField(max_length=128, default=None)  # type: ignore[assignment]  # DRF takes it out
    stream_id = UUIDField(default=None)
    track_id = serializers.CharField(max_length=36, default=None)
    tags = CommaListField(child=serializers.CharField(max_length=36), max_length=MAX_TAGS, default=list)
    city = serializers.CharField(max_length=36, default=None)
    area = serializers.CharField(max_length=36, default=None)
    district = serializers.CharField(max_length=36, default=None)
    street = serializers.CharField(max_length=128, default=None)
    house_number = serializers.CharField(max_length=36, default=None)
    longitude = FiniteFloatField(min_value=-180, max_value=180, default=None)
    latitude = FiniteFloatField(min_value=-90, max_value=90, default=None)
    aggregate_attributes = FlagField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if (attrs["longitude"] is None) != (attrs["latitude"] is None):
            raise serializers.ValidationError({"longitude": "'longitude' and 'latitude' must be given together."})
        attrs["tags"] = tuple(dict.fromkeys(attrs["tags"]))
        return super().validate(attrs)


class ImageOutcomeSerializer(StatusSerializer):
    exif = serializers.DictField(allow_null=True)
    people = serializers.DictField(required=False, allow_null=True)


class GeneratedEventSerializer(serializers.Serializer[Any]):
    """Generated event with samples, matches and the stored face; enumerations are strings."""

    event_id = UUIDField()
    url = serializers.CharField()
    external_url = serializers.CharField()
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # DRF takes it out
    stream_id = UUIDField(allow_null=True)
    track_id = serializers.CharField(allow_null=True)
    external_id = serializers.CharField(allow_blank=True)
    user_data = serializers.CharField(allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField())
    location = serializers.DictField()
    meta = serializers.DictField(allow_null=True)
    face = serializers.DictField(allow_null=True)
    face_attributes = serializers.DictField(allow_null=True)
    body_attributes = serializers.DictField(allow_null=True)
    matches = serializers.ListField(child=serializers.DictField())
    aggregate_estimations = serializers.DictField()
    detections = serializers.ListField(child=serializers.DictField())


class GenerationAnswer(serializers.Serializer[Any]):
    images = ImageOutcomeSerializer(many=True)
    events = GeneratedEventSerializer(many=True)
    filtered_detections = serializers.DictField()
    unavailable_estimations = serializers.ListField(
        child=serializers.CharField(),
        help_text="Requested estimations without an installed network; their values are null.",
    )
