"""OpenAPI schemas of request bodies with images."""

from typing import Any

from apps.recognition.api.input_schemas import ReferencesSerializer
from apps.recognition.inputs.media import BASE64_SUFFIX, DESCRIPTOR_TYPES

BYTES = {"type": "string", "format": "binary"}
JSON_PART = {"type": "string", "description": "JSON"}
DOCUMENTED_TYPES = ("image/jpeg", "image/png", "image/bmp", "image/tiff", "image/x-portable-pixmap")
DOCUMENTED_BASE64_TYPES = ("image/x-jpeg-base64", "image/x-png-base64")


def image_request(*, bodies: bool = False, policies: bool = False, descriptors: bool = False) -> dict[str, Any]:
    """Return the argument `request` of extend_schema: schemas by content type."""
    parts: dict[str, Any] = {"image": {"type": "array", "items": BYTES}, "face_bounding_boxes": JSON_PART}
    if bodies or policies:
        parts["body_bounding_boxes"] = JSON_PART
    if policies:
        parts |= dict.fromkeys(("policies", "meta", "detect_time", "detect_ts", "image_origin"), JSON_PART)
    request: dict[str, Any] = dict.fromkeys(DOCUMENTED_TYPES, BYTES)
    request |= {name: {"type": "string"} for name in DOCUMENTED_BASE64_TYPES}
    if descriptors:
        request |= {
            name: {"type": "string"} if name.endswith(BASE64_SUFFIX) else BYTES for name in sorted(DESCRIPTOR_TYPES)
        }
    return request | {
        "application/json": ReferencesSerializer,
        "application/msgpack": ReferencesSerializer,
        "multipart/form-data": {"type": "object", "properties": parts},
    }
