"""Input of stream events (beta): frames of one track, with the detections of the client in each.

LUNA PLATFORM does not describe the body. Frames are images as those of event generation. Three JSON parts, or members
of a JSON body, describe them by file name or URL; other members of their items are accepted and ignored.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rest_framework import serializers

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.validation import checked_data
from apps.handlers.api.event_serializers import EventsForm, EventsQuery
from apps.recognition.api.input_schemas import MAX_BOXES, MAX_NAME_CHARACTERS, RectSerializer, detail_fields
from apps.recognition.inputs.types import ImageReference, InputReferences
from apps.recognition.types import ImageType, Rect

SOURCES, FACES, BODIES = "sources", "face_detection_data", "body_detection_data"
PARTS = frozenset({SOURCES, FACES, BODIES})


class FrameSerializer(serializers.Serializer[Any]):
    """A frame by its name."""

    filename = serializers.CharField(
        max_length=MAX_NAME_CHARACTERS, trim_whitespace=False, help_text="File name of the part, or the URL."
    )


class SourceSerializer(FrameSerializer):
    """Details of a frame."""

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | detail_fields()


class DetectionDataSerializer(FrameSerializer):
    """A detection of the client in a frame."""

    bounding_box = RectSerializer(help_text="In the frame as it is sent.")


class StreamParts(serializers.Serializer[Any]):
    """Descriptions of the frames."""

    sources = serializers.ListField(child=SourceSerializer(), default=list, max_length=MAX_BOXES)
    face_detection_data = serializers.ListField(child=DetectionDataSerializer(), default=list, max_length=MAX_BOXES)
    body_detection_data = serializers.ListField(child=DetectionDataSerializer(), default=list, max_length=MAX_BOXES)


class StreamForm(EventsForm, StreamParts):
    """Frames of one track, with the detections in each. A dynamic handler needs `policies`."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        return {name: field for name, field in fields.items() if not name.endswith("_bounding_boxes")}


class StreamQuery(EventsQuery):
    """As for event generation, but the frames of a track give one event by default."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        fields["aggregate_attributes"].default = True
        return fields


def stream_references(references: InputReferences) -> InputReferences:
    """Return the frames with the boxes and details of their descriptions.

    Raises LunaError INVALID_JSON for a malformed description, BAD_IMAGE_LIST for an unknown frame,
    DUPLICATE_RECTANGLES_OF_IMAGE for a frame that is described twice, NO_RECTANGLE_FOR_WARP for boxes in warps.
    """
    own = {name: value for name, value in references.parts.items() if name in PARTS}
    given = checked_data(StreamParts, own)
    sources, faces, bodies = (_by_name(given[name]) for name in (SOURCES, FACES, BODIES))
    known = {image.filename for image in references.images}
    for name in (*sources, *faces, *bodies):
        if name not in known:
            raise LunaError(errors.BAD_IMAGE_LIST, f"The request contains no image with the name {name}")
    if (faces or bodies) and references.image_type is not ImageType.RAW:
        raise LunaError(errors.NO_RECTANGLE_FOR_WARP)
    images = tuple(_described(image, sources, faces, bodies) for image in references.images)
    parts = {name: value for name, value in references.parts.items() if name not in PARTS}
    return replace(references, images=images, parts=parts)


def _by_name(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for item in items:
        if item["filename"] in found:
            raise LunaError(errors.DUPLICATE_RECTANGLES_OF_IMAGE, item["filename"])
        found[item["filename"]] = item
    return found


def _described(
    image: ImageReference,
    sources: Mapping[str, Mapping[str, Any]],
    faces: Mapping[str, Mapping[str, Any]],
    bodies: Mapping[str, Mapping[str, Any]],
) -> ImageReference:
    details: dict[str, Any] = {
        name: value for name, value in sources.get(image.filename, {}).items() if name != "filename"
    }
    return replace(
        image,
        details=replace(image.details, **details),
        face_boxes=_boxes(faces.get(image.filename)) or image.face_boxes,
        body_boxes=_boxes(bodies.get(image.filename)) or image.body_boxes,
    )


def _boxes(item: Mapping[str, Any] | None) -> tuple[Rect, ...]:
    return () if item is None else (item["bounding_box"],)
