"""Queries of events, and the OpenAPI schema of an event; `shapes` builds the responses."""

from typing import Any

from rest_framework import serializers

from apps.common.fields import CommaListField, UUIDField
from apps.common.filters import EventFilterSerializer
from apps.common.filters.enums import (
    ApparentGender,
    Colour,
    Deepfake,
    Emotion,
    EthnicGroup,
    Garment,
    Gender,
    Liveness,
    Mask,
    Number,
    PlainColour,
    Presence,
    SleeveLength,
)
from apps.common.paging import PageQuery


class TargetsQuery(serializers.Serializer[Any]):
    targets = CommaListField(child=serializers.CharField(), default=())
    account_id = UUIDField(required=False)


class EventsQuery(EventFilterSerializer, TargetsQuery, PageQuery):
    order = serializers.ChoiceField(choices=("asc", "desc"), default="desc")


def _number(numbers: type[Number]) -> serializers.IntegerField:
    words = ", ".join(f"{number.value} {number.word}" for number in numbers)
    return serializers.IntegerField(required=False, allow_null=True, help_text=words)


def _word(numbers: type[Number]) -> serializers.CharField:
    return serializers.CharField(allow_null=True, help_text=", ".join(number.word for number in numbers))


def _words(numbers: type[Number]) -> serializers.ListField:
    return serializers.ListField(child=_word(numbers), allow_null=True)


class TopMatchSerializer(serializers.Serializer[Any]):
    label = serializers.CharField(allow_null=True)  # type: ignore[assignment]  # DRF takes a declared field out
    similarity = serializers.FloatField(allow_null=True)
    face_id = UUIDField(allow_null=True, help_text="The face, if the most similar object is one.")
    event_id = UUIDField(allow_null=True, help_text="The event, if the most similar object is one.")
    external_id = serializers.CharField(allow_null=True)


class BodyBasicAttributesSerializer(serializers.Serializer[Any]):
    apparent_age = serializers.IntegerField(allow_null=True)
    apparent_gender = _number(ApparentGender)


class StoredHeadwearSerializer(serializers.Serializer[Any]):
    state = _number(Presence)
    apparent_color = _word(PlainColour)


class StoredSleeveSerializer(serializers.Serializer[Any]):
    length = _word(SleeveLength)


class StoredUpperClothingSerializer(serializers.Serializer[Any]):
    colors = _words(Colour)


class StoredUpperBodySerializer(serializers.Serializer[Any]):
    headwear = StoredHeadwearSerializer()
    sleeve = StoredSleeveSerializer()
    upper_clothing = StoredUpperClothingSerializer()


class StoredLowerGarmentSerializer(serializers.Serializer[Any]):
    type = _word(Garment)
    colors = _words(Colour)


class StoredShoesSerializer(serializers.Serializer[Any]):
    apparent_color = _word(PlainColour)


class StoredLowerBodySerializer(serializers.Serializer[Any]):
    lower_garment = StoredLowerGarmentSerializer()
    shoes = StoredShoesSerializer()


class StoredBackpackSerializer(serializers.Serializer[Any]):
    state = _number(Presence)


class StoredAccessoriesSerializer(serializers.Serializer[Any]):
    backpack = StoredBackpackSerializer()


class GeoPositionSerializer(serializers.Serializer[Any]):
    longitude = serializers.FloatField(min_value=-180, max_value=180)
    latitude = serializers.FloatField(min_value=-90, max_value=90)


class LocationSerializer(serializers.Serializer[Any]):
    city = serializers.CharField(allow_null=True)
    area = serializers.CharField(allow_null=True)
    district = serializers.CharField(allow_null=True)
    street = serializers.CharField(allow_null=True)
    house_number = serializers.CharField(allow_null=True)
    geo_position = GeoPositionSerializer(allow_null=True)


class StoredEventSerializer(serializers.Serializer[Any]):
    """A stored event. `targets` of the request select its members."""

    event_id = UUIDField(required=False)
    account_id = UUIDField(required=False)
    handler_id = UUIDField(required=False, allow_null=True)
    source = serializers.CharField(required=False, allow_null=True)  # type: ignore[assignment]
    stream_id = UUIDField(required=False, allow_null=True)
    track_id = serializers.CharField(required=False, allow_null=True)
    external_id = serializers.CharField(required=False)
    user_data = serializers.CharField(required=False)
    tags = serializers.ListField(child=serializers.CharField(), required=False)
    create_time = serializers.DateTimeField(required=False)
    end_time = serializers.DateTimeField(required=False)
    insert_time = serializers.DateTimeField(required=False)
    face_id = UUIDField(required=False, allow_null=True)
    gender = _number(Gender)
    age = serializers.IntegerField(required=False, allow_null=True)
    emotion = _number(Emotion)
    ethnic_group = _number(EthnicGroup)
    mask = _number(Mask)
    liveness = _number(Liveness)
    deepfake = _number(Deepfake)
    attach_result = serializers.ListField(child=UUIDField(), required=False)
    top_match = TopMatchSerializer(required=False, allow_null=True)
    match_result = serializers.ListField(child=serializers.DictField(), required=False)
    face_detections = serializers.ListField(child=serializers.DictField(), required=False)
    body_detections = serializers.ListField(child=serializers.DictField(), required=False)
    body_basic_attributes = BodyBasicAttributesSerializer(required=False, allow_null=True)
    upper_body = StoredUpperBodySerializer(required=False, allow_null=True)
    lower_body = StoredLowerBodySerializer(required=False, allow_null=True)
    accessories = StoredAccessoriesSerializer(required=False, allow_null=True)
    location = LocationSerializer(required=False)
    meta = serializers.JSONField(required=False, allow_null=True)


class StoredEventsSerializer(serializers.Serializer[Any]):
    events = StoredEventSerializer(many=True)
