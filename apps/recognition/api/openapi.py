"""OpenAPI schemas of request bodies with images."""

from typing import Any

from drf_spectacular.utils import OpenApiRequest
from rest_framework import serializers

from apps.recognition.api.input_schemas import BOXES, FileBoxesSerializer, MetaField, ReferencesSerializer
from apps.recognition.inputs.media import BASE64_SUFFIX, DESCRIPTOR_TYPES


class FilesField(serializers.ListField):
    """Files of the parts `image`, each with a file name of its own."""

    child = serializers.FileField()


BYTES = {"type": "string", "format": "binary"}
FACE_BOXES, BODY_BOXES = BOXES
DOCUMENTED_TYPES = ("image/jpeg", "image/png", "image/bmp", "image/tiff", "image/x-portable-pixmap")
DOCUMENTED_BASE64_TYPES = ("image/x-jpeg-base64", "image/x-png-base64")


class FacesForm(serializers.Serializer[Any]):
    """Images, and rectangles of faces by file name."""

    image = FilesField(help_text="Each image has a file name of its own.")
    face_bounding_boxes = serializers.ListField(child=FileBoxesSerializer(FACE_BOXES), required=False)


class BodiesForm(FacesForm):
    """Images, and rectangles of faces and bodies by file name."""

    body_bounding_boxes = serializers.ListField(child=FileBoxesSerializer(BODY_BOXES), required=False)


def image_request(*, form: type[serializers.Serializer[Any]] = FacesForm, descriptors: bool = False) -> dict[str, Any]:
    """Return the argument `request` of extend_schema: schemas by content type. `form`: the parts of a multipart body.

    Parts that are objects or arrays are JSON.
    """
    request: dict[str, Any] = dict.fromkeys(DOCUMENTED_TYPES, BYTES)
    request |= {name: {"type": "string"} for name in DOCUMENTED_BASE64_TYPES}
    if descriptors:
        request |= {
            name: {"type": "string"} if name.endswith(BASE64_SUFFIX) else BYTES for name in sorted(DESCRIPTOR_TYPES)
        }
    return request | {
        "application/json": ReferencesSerializer,
        "application/msgpack": ReferencesSerializer,
        "multipart/form-data": OpenApiRequest(form, encoding=encoding(form)),
    }


def encoding(form: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """Return the content types of the parts: images, JSON for objects and arrays, plain text for the others."""
    types: dict[str, str] = {}
    for name, field in form().fields.items():
        if isinstance(field, FilesField):
            types[str(name)] = ", ".join(DOCUMENTED_TYPES)
        elif isinstance(field, serializers.BaseSerializer | serializers.ListField | MetaField):
            types[str(name)] = "application/json"
    return {name: {"contentType": media_type} for name, media_type in types.items()}
