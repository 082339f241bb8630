"""Schemas of JSON input: references to images, rectangles, details of each image."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.config import config
from apps.common.fields import FlagField, ItemsAtMost, UUIDField, WholeNumberField
from apps.common.filters.kinds import FiniteFloatField
from apps.common.meta import check_meta
from apps.common.times import parse_time
from apps.common.validation import StrictSerializer
from apps.recognition.config import SdkLimits
from apps.recognition.inputs.types import MAX_ORIGIN_CHARACTERS, Rules
from apps.recognition.types import Rect

MAX_BOXES = 100
MAX_NAME_CHARACTERS = 1024
MAX_URL_CHARACTERS = 2048
MAX_COORDINATE = 2**31 - 1
MAX_IMAGES = "max_images"  # key in the context of a serializer
BOXES = ("face_bounding_boxes", "body_bounding_boxes")


class RectSerializer(StrictSerializer):
    """Rectangle in pixels of the decoded picture after its EXIF orientation."""

    x = WholeNumberField(min_value=-MAX_COORDINATE, max_value=MAX_COORDINATE)
    y = WholeNumberField(min_value=-MAX_COORDINATE, max_value=MAX_COORDINATE)
    width = WholeNumberField(min_value=1, max_value=MAX_COORDINATE)
    height = WholeNumberField(min_value=1, max_value=MAX_COORDINATE)

    def to_internal_value(self, data: Any) -> Rect:
        return Rect(**super().to_internal_value(data))


def boxes_field(**kwargs: Any) -> serializers.ListField:
    return serializers.ListField(child=RectSerializer(), max_length=MAX_BOXES, **kwargs)


class TimeField(serializers.CharField):
    """Time in RFC 3339 format."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return parse_time(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(f"{error}.") from error


@extend_schema_field({"type": "object", "additionalProperties": {}})
class MetaField(serializers.JSONField):
    """JSON object of the client: at most 2 MB, without spaces in names and without null characters."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            check_meta(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return data


def detail_fields() -> dict[str, Any]:
    """Return the serializer fields of `Details`."""
    return {
        "meta": MetaField(required=False),
        "detect_time": TimeField(required=False),
        "detect_ts": FiniteFloatField(min_value=0, max_value=1e12, required=False),
        "image_origin": serializers.CharField(max_length=MAX_ORIGIN_CHARACTERS, required=False),
    }


class ReferenceSerializer(StrictSerializer):
    """Reference to one image. A bare string is its `key`: URL or sample id."""

    key = ""

    face_bounding_boxes = boxes_field(default=list)
    body_bounding_boxes = boxes_field(default=list)
    trusted_detections = FlagField(default=False)

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | detail_fields()

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value({self.key: data} if isinstance(data, str) else data)


class UrlSerializer(ReferenceSerializer):
    key = "url"
    url = serializers.CharField(max_length=MAX_URL_CHARACTERS)


class SampleSerializer(ReferenceSerializer):
    key = "sample_id"
    sample_id = UUIDField()


class ImagesAtMost(ItemsAtMost):
    """Limit of images in a request: the resource's own (`images_context`), else `received_images_limit`."""

    requires_context = True

    def __init__(self) -> None:
        super().__init__(lambda: config(SdkLimits).received_images_limit)

    def __call__(self, value: Any, field: serializers.Field[Any, Any, Any, Any]) -> None:  # type: ignore[override]
        ItemsAtMost(lambda: field.context.get(MAX_IMAGES, self.limit_value))(value)


def images_context(rules: Rules) -> dict[str, Any]:
    """Return the serializer context of a resource with its own limit.

    It is empty for the default limit, because serializers without context are cached.
    """
    usual = config(SdkLimits).received_images_limit
    return {} if rules.max_images == usual else {MAX_IMAGES: rules.max_images}


class ReferencesSerializer(StrictSerializer):
    """References `{"urls": […]}` or `{"samples": […]}`; a bare array contains URLs."""

    example = {"urls": [{"url": "https://example.com/portrait.jpg"}]}
    urls = serializers.ListField(child=UrlSerializer(), required=False, allow_empty=False, validators=[ImagesAtMost()])
    samples = serializers.ListField(
        child=SampleSerializer(), required=False, allow_empty=False, validators=[ImagesAtMost()]
    )
    meta = MetaField(required=False)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value({"urls": data} if isinstance(data, list) else data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("urls" in attrs) == ("samples" in attrs):
            raise serializers.ValidationError({"urls": "Exactly one of 'urls' and 'samples' is required."})
        return attrs


class FileBoxesSerializer(StrictSerializer):
    """Rectangles of one file, by the name of the part."""

    filename = serializers.CharField(max_length=MAX_NAME_CHARACTERS, trim_whitespace=False)

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name = name
        super().__init__(**kwargs)

    @property
    def component(self) -> str:
        return "".join(part.capitalize() for part in self.name.split("_")) + "OfFile"

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {self.name: boxes_field(allow_empty=False)}


class FileDetailField(serializers.Field[Any, Any, Any, Any]):
    """One value for all images, or an array of `{"filename", "<detail>": value}`.

    Parsing returns {filename or None: value}.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.name = name
        super().__init__(required=False, **kwargs)

    def to_internal_value(self, data: Any) -> dict[str | None, Any]:
        field = detail_fields()[self.name]
        if not isinstance(data, list):
            return {None: field.run_validation(data)}
        values: dict[str | None, Any] = {}
        for item in data:
            if not isinstance(item, dict) or set(item) != {"filename", self.name}:
                raise serializers.ValidationError(f"'filename' and '{self.name}' are required in each item.")
            values[str(item["filename"])] = field.run_validation(item[self.name])
        return values


class DocumentsSerializer(serializers.Serializer[Any]):
    """JSON parts of a multipart body: rectangles and details. The resource parses the other parts."""

    def get_fields(self) -> dict[str, Any]:
        boxes = {
            name: serializers.ListField(child=FileBoxesSerializer(name), default=list, validators=[ImagesAtMost()])
            for name in BOXES
        }
        return boxes | {name: FileDetailField(name) for name in detail_fields()}
