"""Images of a request, whatever form they come in: bytes, Base64, multipart, URLs, stored samples.

What concerns the request as a whole is raised as LunaError; what concerns one of several images stays with it, so that
the others are processed.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from django.conf import settings
from rest_framework.request import Request

from apps.accounts.auth.access import actor_of
from apps.accounts.services import audit_write
from apps.common import errors
from apps.common.api.parsers import msgpack_decode
from apps.common.errors import LunaError
from apps.common.validation import checked_data
from apps.imagestore.choices import audit_type
from apps.imagestore.models import StoredObject
from apps.recognition.api.form import read_form
from apps.recognition.api.input_schemas import ReferencesSerializer, detail_fields
from apps.recognition.inputs.descriptors import descriptors_decode
from apps.recognition.inputs.media import (
    BASE64_TYPES,
    DESCRIPTOR_TYPES,
    IMAGE_TYPES,
    MAX_DESCRIPTOR_BYTES,
    image_bytes,
    wire_bytes,
)
from apps.recognition.inputs.sources import Loaded, load_samples, load_urls
from apps.recognition.inputs.types import DescriptorFile, Details, Inputs, Picture, Rules
from apps.recognition.types import ImageInput, ImageType

MAX_JSON_BYTES = 4 * 1024**2
LONE_DESCRIPTOR_NAME = "raw_descriptor"


def read_inputs(request: Request, rules: Rules) -> Inputs:
    """Reads the body.

    Raises LunaError BAD_CONTENT_TYPE for a content type that holds no images, NO_DATA for an empty body, BAD_BASE64,
    NO_JSON, INVALID_JSON and INVALID_MSGPACK for bad text bodies, PAYLOAD_TOO_LARGE for what is too large, and what
    `read_form` and `descriptors_decode` raise.
    """
    content_type = request.content_type.partition(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        return read_form(request, rules)
    if content_type in ("application/json", "application/msgpack"):
        return _from_references(request, _read_json(request, content_type), rules)
    if content_type in DESCRIPTOR_TYPES and rules.descriptors:
        found = descriptors_decode(_read_body(request, MAX_DESCRIPTOR_BYTES), content_type)
        return Inputs(descriptors=(DescriptorFile(filename=LONE_DESCRIPTOR_NAME, descriptors=found),), alone=True)
    if content_type not in IMAGE_TYPES | BASE64_TYPES:
        raise LunaError(errors.BAD_CONTENT_TYPE)
    data = _read_body(request, wire_bytes(settings.LUNA_MAX_IMAGE_BYTES, content_type))
    image = ImageInput(image_bytes(data, content_type), image_type=rules.image_type)
    return Inputs(pictures=(Picture(image=image, content_type=content_type),), alone=True)


def _read_body(request: Request, max_bytes: int) -> bytes:
    data: bytes = b"" if request.stream is None else request.stream.read(max_bytes + 1)
    if not data:
        raise LunaError(errors.NO_DATA)
    if len(data) > max_bytes:
        raise LunaError(errors.PAYLOAD_TOO_LARGE)
    return data


def _read_json(request: Request, content_type: str) -> Any:
    data = _read_body(request, MAX_JSON_BYTES)
    if content_type == "application/msgpack":
        return msgpack_decode(data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise LunaError(errors.NO_JSON) from error


def _from_references(request: Request, body: Any, rules: Rules) -> Inputs:
    """Raises LunaError ONE_RECTANGLE_PER_IMAGE, NO_RECTANGLE_FOR_WARP, INVALID_JSON."""
    checked = checked_data(ReferencesSerializer, body)
    references = checked.get("urls") or checked["samples"]
    for reference in references:
        _check_reference(reference, rules)
    if "urls" in checked:
        loaded = load_urls([reference["url"] for reference in references], rules.account_id, rules.readable)
    else:
        sample_ids = [reference["sample_id"] for reference in references]
        loaded = load_samples(sample_ids, rules.account_id, rules.readable)
    _audit(request, [each.stored for each in loaded if each.stored is not None])
    pictures = tuple(_picture(*pair, rules) for pair in zip(references, loaded, strict=True))
    return Inputs(pictures=pictures, meta=checked.get("meta") if "meta" in rules.details else None)


def _audit(request: Request, read: Sequence[StoredObject]) -> None:
    """A line for each stored object: its warp or descriptor may be part of the answer."""
    for bucket in sorted({row.bucket for row in read}):
        rows = [row for row in read if row.bucket == bucket]
        audit_write(
            action="view",
            object_type=audit_type(bucket),
            object_ids=dict.fromkeys(row.object_id for row in rows),
            account_id=rows[0].account_id,
            actor=actor_of(request),
        )


def _check_reference(reference: dict[str, Any], rules: Rules) -> None:
    if reference["body_bounding_boxes"] and not rules.bodies:
        raise LunaError(errors.ESTIMATOR_NOT_INITIALIZED, "human_body")
    for boxes in (reference["face_bounding_boxes"], reference["body_bounding_boxes"]):
        if boxes and ("sample_id" in reference or rules.image_type is not ImageType.RAW):
            raise LunaError(errors.NO_RECTANGLE_FOR_WARP)
        if len(boxes) > 1:
            raise LunaError(errors.ONE_RECTANGLE_PER_IMAGE)


def _picture(reference: dict[str, Any], loaded: Loaded, rules: Rules) -> Picture:
    sample_id = reference.get("sample_id")
    return Picture(
        image=ImageInput(
            data=loaded.data,
            filename=reference.get("url") or str(sample_id),
            image_type=ImageType.FACE_WARP if sample_id else rules.image_type,
            face_boxes=tuple(reference["face_bounding_boxes"]),
            body_boxes=tuple(reference["body_bounding_boxes"]),
            landmarks5=loaded.landmarks5,
            trusted_boxes=reference["trusted_detections"],
        ),
        error=loaded.error,
        details=Details(**{name: reference.get(name) for name in detail_fields() if name in rules.details}),
        url=reference.get("url"),
        sample_id=sample_id,
    )
