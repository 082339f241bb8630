"""Parsing of multipart bodies with images, rectangles, details and other JSON parts."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request

from apps.common import errors
from apps.common.api.multipart import Part, read_parts
from apps.common.api.parsers import json_decode
from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.common.limits import image_too_large, too_large
from apps.common.meta import MAX_META_BYTES
from apps.common.validation import checked_data
from apps.recognition.api.input_schemas import BOXES, DocumentsSerializer, images_context
from apps.recognition.inputs.descriptors import descriptors_decode
from apps.recognition.inputs.media import (
    BASE64_TYPES,
    DESCRIPTOR_TYPES,
    IMAGE_TYPES,
    MAX_DESCRIPTOR_BYTES,
    UNSAID_TYPES,
    image_bytes,
    wire_bytes,
)
from apps.recognition.inputs.types import DescriptorFile, Details, ImageReference, InputReferences, Rules
from apps.recognition.types import ImageType, Rect

FACE_BOXES, BODY_BOXES = BOXES
# What clients send JSON parts as: some libraries cannot set the type of a part that is no file.
JSON = "application/json"
JSON_TYPES = frozenset({JSON, "text/plain", ""})
TEXTS = frozenset({"detect_time", "image_origin"})
TRUSTED_HEADER = "x-luna-trusted-detections"
MAX_DOCUMENT_BYTES = 2 * MAX_META_BYTES


class Form:
    """Parts of one multipart body; `references` combines them."""

    def __init__(self, rules: Rules, *, trusted: bool) -> None:
        self.rules = rules
        self.trusted = trusted
        self.files: dict[str, Part] = {}
        self.descriptors: dict[str, Part] = {}
        self.documents: dict[str, Any] = {}
        # Arrays that arrive as one part per item, as OpenAPI defines arrays of multipart bodies.
        self.itemised: set[str] = set()
        boxes = BOXES if rules.bodies else (FACE_BOXES,)
        self.known = {*boxes, *rules.parts, *rules.details}

    def add(self, part: Part) -> None:
        """Add a part.

        Raises LunaError BAD_MULTIPART_IMAGE_CONTENT_TYPE, DUPLICATE_FILE_NAME, DUPLICATE_RECTANGLE_LISTS,
        BAD_IMAGE_LIST, UNKNOWN_MULTIPART_NAME, DUPLICATE_MULTIPART_NAME, BAD_MULTIPART_CONTENT_TYPE, NO_JSON.
        """
        if part.name in self.known and part.content_type not in IMAGE_TYPES:
            self._add_document(part)
        elif self.rules.descriptors and part.content_type in DESCRIPTOR_TYPES:
            self._add_file(part, self.descriptors)
        elif part.content_type in IMAGE_TYPES | BASE64_TYPES or (part.filename and part.content_type in UNSAID_TYPES):
            self._add_file(part, self.files)
        elif part.filename:
            raise LunaError(errors.BAD_MULTIPART_IMAGE_CONTENT_TYPE)
        else:
            raise LunaError(errors.UNKNOWN_MULTIPART_NAME, part.name)

    def _add_document(self, part: Part) -> None:
        if part.content_type not in JSON_TYPES:
            raise LunaError(errors.BAD_MULTIPART_CONTENT_TYPE, part.name)
        if len(part.data) > MAX_DOCUMENT_BYTES:
            raise too_large(f"the part `{part.name}`", MAX_DOCUMENT_BYTES)
        known, value = self.documents.get(part.name), _document(part)
        if part.name in BOXES and isinstance(value, dict) and (known is None or part.name in self.itemised):
            self.itemised.add(part.name)
            value = [*(known or ()), value]
        elif part.name in self.documents:
            raise (
                LunaError(errors.DUPLICATE_RECTANGLE_LISTS)
                if part.name in BOXES
                else LunaError(errors.DUPLICATE_MULTIPART_NAME, part.name)
            )
        self.documents[part.name] = value
        if part.name in BOXES:
            self.trusted |= is_trusted(part.headers.get(TRUSTED_HEADER))

    def _add_file(self, part: Part, files: dict[str, Part]) -> None:
        name = part.filename or part.name
        if name in self.files or name in self.descriptors:
            raise LunaError(errors.DUPLICATE_FILE_NAME, name)
        files[name] = part
        if len(self.files) + len(self.descriptors) > self.rules.max_images:
            raise LunaError(errors.BAD_IMAGE_LIST, f"A request must contain at most {self.rules.max_images} images")

    def references(self) -> InputReferences:
        """Return the references of the body.

        Raises LunaError NO_DATA if the body has no file. Raises INVALID_JSON, ONE_RECTANGLE_PER_IMAGE,
        NO_RECTANGLE_FOR_WARP, BAD_IMAGE_LIST or DUPLICATE_RECTANGLES_OF_IMAGE for invalid JSON parts.
        """
        if not self.files and not self.descriptors:
            raise LunaError(errors.NO_DATA)
        ours = {name: value for name, value in self.documents.items() if name not in self.rules.parts}
        checked = checked_data(DocumentsSerializer, ours, **images_context(self.rules))
        boxes = {kind: self._boxes(kind, checked.pop(kind)) for kind in BOXES}
        details = checked
        common_meta = details.get("meta", {}).pop(None, None)
        return InputReferences(
            images=tuple(self._image(name, part, boxes, details) for name, part in self.files.items()),
            image_type=self.rules.image_type,
            descriptors=tuple(_descriptor_file(name, part, details) for name, part in self.descriptors.items()),
            meta=common_meta,
            parts={name: value for name, value in self.documents.items() if name in self.rules.parts},
        )

    def _boxes(self, kind: str, items: list[Mapping[str, Any]]) -> dict[str, tuple[Rect, ...]]:
        if items and self.rules.image_type is not ImageType.RAW:
            raise LunaError(errors.NO_RECTANGLE_FOR_WARP)
        for name, times in Counter(item["filename"] for item in items).items():
            if times > 1:
                raise LunaError(errors.DUPLICATE_RECTANGLES_OF_IMAGE, name)
            if name not in self.files:
                raise LunaError(errors.BAD_IMAGE_LIST, f"The request contains no image with the name {name}")
        if any(len(item[kind]) > 1 for item in items):
            raise LunaError(errors.ONE_RECTANGLE_PER_IMAGE)
        return {item["filename"]: tuple(item[kind]) for item in items}

    def _image(
        self,
        name: str,
        part: Part,
        boxes: Mapping[str, Mapping[str, tuple[Rect, ...]]],
        details: Mapping[str, Mapping[str | None, Any]],
    ) -> ImageReference:
        error = None
        data = b""
        if len(part.data) > wire_bytes(config(Images).max_bytes, part.content_type):
            error = image_too_large(f"`{name}`")
        else:
            try:
                data = image_bytes(part.data, part.content_type)
            except LunaError as bad:
                error = bad
        return ImageReference(
            data=data,
            filename=name,
            face_boxes=boxes[FACE_BOXES].get(name, ()),
            body_boxes=boxes[BODY_BOXES].get(name, ()),
            trusted_boxes=self.trusted,
            error=error,
            details=_details_of(name, details),
        )


def _document(part: Part) -> Any:
    """Return the JSON of a part. A text need not be JSON in a part of plain text.

    Raises LunaError NO_JSON, BAD_CONTENT_TYPE.
    """
    try:
        return json_decode(part.data, part.charset)
    except LunaError as error:
        if error.code != errors.NO_JSON or part.name not in TEXTS or part.content_type == JSON:
            raise
        return _text(part)


def _text(part: Part) -> str:
    try:
        return part.data.decode(part.charset or "utf-8")
    except UnicodeDecodeError as error:
        raise LunaError(errors.NO_JSON) from error


def _descriptor_file(name: str, part: Part, details: Mapping[str, Mapping[str | None, Any]]) -> DescriptorFile:
    own = _details_of(name, details)
    try:
        if len(part.data) > MAX_DESCRIPTOR_BYTES:
            raise too_large(f"`{name}`", MAX_DESCRIPTOR_BYTES)
        return DescriptorFile(filename=name, descriptors=descriptors_decode(part.data, part.content_type), details=own)
    except LunaError as error:
        return DescriptorFile(filename=name, error=error, details=own)


def _details_of(name: str, details: Mapping[str, Mapping[str | None, Any]]) -> Details:
    """Return the details of this file, with the details of all files as default."""
    return Details(**{detail: values.get(name, values.get(None)) for detail, values in details.items()})


def is_trusted(header: str | None) -> bool:
    return (header or "").strip().lower() in ("1", "true")


def parse_form(request: Request, rules: Rules) -> InputReferences:
    """Parse a multipart body.

    Raises LunaError NO_DATA, INVALID_REQUEST, PAYLOAD_TOO_LARGE, and the errors of `Form`.
    """
    if request.stream is None:
        raise LunaError(errors.NO_DATA)
    form = Form(rules, trusted=is_trusted(request.headers.get(TRUSTED_HEADER)))
    max_part_bytes = config(Images).max_bytes * 3 // 2
    for part in read_parts(request.stream, request.content_type, max_part_bytes=max_part_bytes):
        form.add(part)
    return form.references()
