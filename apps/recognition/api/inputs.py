"""Parsing of the images of a request in any form: bytes, Base64, multipart, URLs, stored samples.

An error of the whole request is raised as LunaError. An error of one of several images is kept with that image, so that
the others are processed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.request import Request

from apps.accounts.auth.access import account_if_any, actor_of, may_view
from apps.common import errors
from apps.common.api.parsers import charset_of, json_decode, msgpack_decode
from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.common.limits import image_too_large, too_large
from apps.common.validation import checked_data
from apps.recognition.api.form import parse_form
from apps.recognition.api.input_schemas import ReferencesSerializer, detail_fields, images_context
from apps.recognition.inputs.descriptors import descriptors_decode
from apps.recognition.inputs.loading import inputs_load
from apps.recognition.inputs.media import (
    BASE64_TYPES,
    DESCRIPTOR_TYPES,
    IMAGE_TYPES,
    MAX_DESCRIPTOR_BYTES,
    image_bytes,
    wire_bytes,
)
from apps.recognition.inputs.sources import Readable, everything
from apps.recognition.inputs.types import DescriptorFile, Details, ImageReference, InputReferences, Inputs, Rules
from apps.recognition.types import ImageType

MAX_JSON_BYTES = 4 * 1024**2
LONE_DESCRIPTOR_NAME = "raw_descriptor"


def read_public_inputs(request: Request, rules: Rules) -> Inputs:
    """Parse and load the images of a resource without credentials.

    Stored objects are readable only with a token that permits their view.
    """
    return read_inputs(request, rules, account_id=account_if_any(request), readable=partial(may_view, request))


def read_inputs(
    request: Request,
    rules: Rules,
    *,
    account_id: UUID | None,
    readable: Readable = everything,
    described: Callable[[InputReferences], InputReferences] | None = None,
) -> Inputs:
    """Parse the body and load its images for this client.

    `described`: completes the parsed references. Raises its errors and those of `parse_inputs`.
    """
    references = parse_inputs(request, rules)
    if described is not None:
        references = described(references)
    return inputs_load(references=references, account_id=account_id, actor=actor_of(request), readable=readable)


def parse_inputs(request: Request, rules: Rules) -> InputReferences:
    """Return the references of the body without loading them.

    Raises LunaError BAD_CONTENT_TYPE for a content type without images, NO_DATA for an empty body, BAD_BASE64,
    NO_JSON, INVALID_JSON or INVALID_MSGPACK for an invalid text body, PAYLOAD_TOO_LARGE for a body or part above its
    limit, and the errors of `parse_form` and `descriptors_decode`.
    """
    content_type = request.content_type.partition(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        return parse_form(request, rules)
    if content_type in ("application/json", "application/msgpack"):
        return _from_references(_read_json(request, content_type), rules)
    if content_type in DESCRIPTOR_TYPES and rules.descriptors:
        body = _read_body(request, MAX_DESCRIPTOR_BYTES, too_large("the descriptor", MAX_DESCRIPTOR_BYTES))
        found = descriptors_decode(body, content_type)
        file = DescriptorFile(filename=LONE_DESCRIPTOR_NAME, descriptors=found)
        return InputReferences(descriptors=(file,), alone=True)
    if content_type not in IMAGE_TYPES | BASE64_TYPES:
        raise LunaError(errors.BAD_CONTENT_TYPE)
    data = _read_body(request, wire_bytes(config(Images).max_bytes, content_type), image_too_large())
    image = ImageReference(data=image_bytes(data, content_type))
    return InputReferences(images=(image,), image_type=rules.image_type, alone=True)


def _read_body(request: Request, max_bytes: int, surplus: LunaError) -> bytes:
    """Read the body. Raises LunaError NO_DATA for an empty one, and `surplus` above `max_bytes`."""
    data: bytes = b"" if request.stream is None else request.stream.read(max_bytes + 1)
    if not data:
        raise LunaError(errors.NO_DATA)
    if len(data) > max_bytes:
        raise surplus
    return data


def _read_json(request: Request, content_type: str) -> Any:
    data = _read_body(request, MAX_JSON_BYTES, too_large("the JSON or MessagePack body", MAX_JSON_BYTES))
    if content_type == "application/msgpack":
        return msgpack_decode(data)
    return json_decode(data, charset_of(request.content_type))


def _from_references(body: Any, rules: Rules) -> InputReferences:
    """Parse references in JSON. Raises LunaError ONE_RECTANGLE_PER_IMAGE, NO_RECTANGLE_FOR_WARP, INVALID_JSON."""
    parts = {}
    if isinstance(body, dict):
        parts = {name: body[name] for name in rules.parts & body.keys() if body[name] is not None}
        body = {name: value for name, value in body.items() if name not in rules.parts}
    checked = checked_data(ReferencesSerializer, body, **images_context(rules))
    references = checked.get("urls") or checked["samples"]
    for reference in references:
        _check_reference(reference, rules)
    return InputReferences(
        images=tuple(_image(reference, rules) for reference in references),
        image_type=rules.image_type,
        meta=checked.get("meta") if "meta" in rules.details else None,
        parts=parts,
    )


def _check_reference(reference: dict[str, Any], rules: Rules) -> None:
    if reference["body_bounding_boxes"] and not rules.bodies:
        raise LunaError(errors.ESTIMATOR_NOT_INITIALIZED, "human_body")
    for boxes in (reference["face_bounding_boxes"], reference["body_bounding_boxes"]):
        if boxes and ("sample_id" in reference or rules.image_type is not ImageType.RAW):
            raise LunaError(errors.NO_RECTANGLE_FOR_WARP)
        if len(boxes) > 1:
            raise LunaError(errors.ONE_RECTANGLE_PER_IMAGE)


def _image(reference: dict[str, Any], rules: Rules) -> ImageReference:
    url, sample_id = reference.get("url"), reference.get("sample_id")
    return ImageReference(
        url=url,
        sample_id=sample_id,
        filename=url or str(sample_id),
        face_boxes=tuple(reference["face_bounding_boxes"]),
        body_boxes=tuple(reference["body_bounding_boxes"]),
        trusted_boxes=reference["trusted_detections"],
        details=Details(**{name: reference.get(name) for name in detail_fields() if name in rules.details}),
    )
