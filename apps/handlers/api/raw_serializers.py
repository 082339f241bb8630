"""Body and query of POST /6/handlers/{handler_id}/events/raw: an event in the form of a generated one."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.api.examples import ID
from apps.common.config import config
from apps.common.fields import FlagField, ItemsAtMost, TextField, UUIDField
from apps.common.filters.kinds import FiniteFloatField
from apps.common.validation import StrictSerializer, without_nulls
from apps.faces.api.serializers import DescriptorBody
from apps.handlers.config import HandlersLimits
from apps.handlers.estimated import BODY, FACE, estimated_columns, places_schema
from apps.recognition.api.input_schemas import MetaField, RectSerializer, TimeField, detail_fields

MAX_LABEL = 36


class _AnswerPart(serializers.Serializer[Any]):
    """A part of a generated event. Other members of it, such as scores and addresses, are accepted and not stored."""

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(without_nulls(data, self.fields))


def _array(child: Any, **kwargs: Any) -> serializers.ListField:
    limit = ItemsAtMost(lambda: config(HandlersLimits).raw_event_arrays_limit)
    return serializers.ListField(child=child, required=False, validators=[limit], **kwargs)


@extend_schema_field(places_schema([*FACE.values(), *BODY.values()]))
class AttributesField(serializers.DictField):
    """Estimations of a face or body in the form of responses. Others than these are accepted and not stored."""


@extend_schema_field(places_schema(FACE.values())["properties"]["basic_attributes"])
class BasicAttributesField(serializers.DictField):
    """Basic attributes of a face in the form of responses."""


class GeoPositionBody(_AnswerPart):
    longitude = FiniteFloatField(min_value=-180, max_value=180)
    latitude = FiniteFloatField(min_value=-90, max_value=90)


class LocationBody(_AnswerPart):
    city = TextField(max_length=36)
    area = TextField(max_length=36)
    district = TextField(max_length=36)
    street = TextField(max_length=128)
    house_number = TextField(max_length=36)
    geo_position = GeoPositionBody(required=False)


class RawFaceBody(_AnswerPart):
    """The face of the event, which exists already, and the lists to which it was attached."""

    face_id = UUIDField()
    lists = _array(UUIDField())


class RawFaceAttributesBody(_AnswerPart):
    """A temporary attribute of the account, or descriptors; basic attributes."""

    attribute_id = UUIDField(required=False)
    descriptors = _array(DescriptorBody())
    basic_attributes = BasicAttributesField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "attribute_id" in attrs and attrs.get("descriptors"):
            raise serializers.ValidationError("'attribute_id' and 'descriptors' exclude each other.")
        return attrs


class RawBodyAttributesBody(_AnswerPart):
    descriptors = _array(DescriptorBody())


class PlaceInPictureBody(_AnswerPart):
    rect = RectSerializer()
    attributes = AttributesField(required=False)


class RawSampleBody(_AnswerPart):
    """A detected face or body, and its sample if it is stored."""

    sample_id = UUIDField(required=False)
    detection = PlaceInPictureBody()


class RawSamplesBody(_AnswerPart):
    face = RawSampleBody(required=False)
    body = RawSampleBody(required=False)


class RawDetectionBody(_AnswerPart):
    """A person in one image."""

    filename = TextField(help_text="Accepted, and not stored.")
    samples = RawSamplesBody()

    def get_fields(self) -> dict[str, Any]:
        details = detail_fields()
        del details["meta"]
        return super().get_fields() | details


class MatchedFaceBody(_AnswerPart):
    face_id = UUIDField()
    external_id = TextField(max_length=36)
    user_data = TextField(max_length=128)


class MatchedEventBody(_AnswerPart):
    event_id = UUIDField()
    external_id = TextField(max_length=36)
    user_data = TextField(max_length=128)


class RawCandidateBody(_AnswerPart):
    """A matched face or event."""

    face = MatchedFaceBody(required=False)
    event = MatchedEventBody(required=False)
    similarity = FiniteFloatField(min_value=0, max_value=1)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("face" in attrs) == ("event" in attrs):
            raise serializers.ValidationError("either 'face' or 'event' is required.")
        return attrs


class RawMatchesBody(_AnswerPart):
    label = serializers.CharField(max_length=MAX_LABEL)  # type: ignore[assignment]  # DRF removes declared fields
    candidates = _array(RawCandidateBody())


class EstimationsBody(_AnswerPart):
    attributes = AttributesField(required=False)


class AggregateBody(_AnswerPart):
    """Estimations of the event. They go before those of its detections."""

    face = EstimationsBody(required=False)
    body = EstimationsBody(required=False)


class RawEventBody(StrictSerializer):
    """An event that was made elsewhere, in the form of an item of `events` of a generation.

    `event_id` is optional: with it, a repeated request fails instead of storing a second event. Descriptors, samples
    and the face may be missing.
    """

    example: ClassVar[Any] = {
        "source": "camera 1",
        "create_time": "2026-11-20T12:00:00Z",
        "face": {"face_id": ID, "lists": [ID]},
        "detections": [
            {
                "filename": "frame 1",
                "samples": {
                    "face": {
                        "sample_id": ID,
                        "detection": {
                            "rect": {"x": 10, "y": 20, "width": 100, "height": 120},
                            "attributes": {"mask": {"predominant_mask": "missing"}},
                        },
                    }
                },
            }
        ],
        "matches": [{"label": "staff", "candidates": [{"face": {"face_id": ID}, "similarity": 0.97}]}],
    }

    event_id = UUIDField(required=False, help_text="Id of the event; default: a random one.")
    url = TextField(help_text="Accepted and ignored, as `external_url` and `top_match`.")
    external_url = TextField()
    top_match = _AnswerPart(required=False)
    create_time = TimeField(required=False, help_text="Default: now.")
    event_create_time = TimeField(required=False, help_text="Another name of `create_time`.")
    end_time = TimeField(required=False, help_text="Default: `create_time`.")
    event_end_time = TimeField(required=False, help_text="Another name of `end_time`.")
    source = TextField(max_length=128)  # type: ignore[assignment]  # DRF removes declared fields
    stream_id = UUIDField(required=False)
    track_id = TextField(max_length=36)
    external_id = TextField(max_length=36)
    user_data = TextField(max_length=128)
    tags = _array(serializers.CharField(max_length=36))
    location = LocationBody(required=False)
    meta = MetaField(required=False)
    face = RawFaceBody(required=False)
    face_attributes = RawFaceAttributesBody(required=False)
    body_attributes = RawBodyAttributesBody(required=False)
    matches = _array(RawMatchesBody())
    aggregate_estimations = AggregateBody(required=False)
    detections = serializers.ListField(
        child=RawDetectionBody(),
        required=False,
        validators=[ItemsAtMost(lambda: config(HandlersLimits).raw_event_detections_limit)],
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Add the columns of all estimations under `estimated`."""
        basic = attrs.get("face_attributes", {}).get("basic_attributes")
        of_face = [*_attributes(attrs, "face"), *([{"basic_attributes": basic}] if basic else [])]
        columns = estimated_columns(FACE, of_face) | estimated_columns(BODY, _attributes(attrs, "body"))
        return attrs | {"estimated": columns}


def _attributes(event: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """Yield the attributes of the aggregate, then of each detection."""
    yield event.get("aggregate_estimations", {}).get(kind, {}).get("attributes", {})
    for detection in event.get("detections", ()):
        yield detection["samples"].get(kind, {}).get("detection", {}).get("attributes", {})


class RawEventQuery(serializers.Serializer[Any]):
    wait_saving = FlagField(default=True, help_text="0: answer before the event is stored.")
