"""Multipart bodies with images: files by name, rectangles and details by file name, other JSON parts."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from rest_framework.request import Request

from apps.common.validation import checked_data
from apps.common.errors import LunaError
from apps.recognition.inputs.descriptors import descriptors_decode
from apps.recognition.api.input_schemas import BOXES, MAX_IMAGES, MAX_META_BYTES, DocumentsSerializer
from apps.recognition.inputs.types import DescriptorFile, Details, Inputs, Picture, Rules
from apps.recognition.inputs.media import (
    BASE64_TYPES,
    DESCRIPTOR_TYPES,
    IMAGE_TYPES,
    MAX_DESCRIPTOR_BYTES,
    UNSAID_TYPES,
    image_bytes,
    wire_bytes,
)
from apps.recognition.api.multipart import Part, read_parts
from apps.recognition.types import ImageInput, ImageType, Rect

FACE_BOXES, BODY_BOXES = BOXES
TRUSTED_HEADER = "x-luna-trusted-detections"
MAX_DOCUMENT_BYTES = 2 * MAX_META_BYTES


class Form:
    """Collects the parts of one body; `inputs` makes sense of them together."""

    def __init__(self, rules: Rules, *, trusted: bool) -> None:
        self.rules = rules
        self.trusted = trusted
        self.files: dict[str, Part] = {}
        self.descriptors: dict[str, Part] = {}
        self.documents: dict[str, Any] = {}
        boxes = BOXES if rules.bodies else (FACE_BOXES,)
        self.known = {*boxes, *rules.parts, *rules.details}

    def add(self, part: Part) -> None:
        """Raises LunaError 11029, 11046, 11048, 11049, 12039, 12040, 12041, 12002."""
        if part.name in self.known and part.content_type not in IMAGE_TYPES:
            self._add_document(part)
        elif self.rules.descriptors and part.content_type in DESCRIPTOR_TYPES:
            self._add_file(part, self.descriptors)
        elif part.content_type in IMAGE_TYPES | BASE64_TYPES or (part.filename and part.content_type in UNSAID_TYPES):
            self._add_file(part, self.files)
        elif part.filename:
            raise LunaError(11029)
        else:
            raise LunaError(12039, part.name)

    def _add_document(self, part: Part) -> None:
        if part.name in self.documents:
            raise LunaError(11048) if part.name in BOXES else LunaError(12040, part.name)
        if part.content_type not in ("application/json", ""):
            raise LunaError(12041, part.name)
        if len(part.data) > MAX_DOCUMENT_BYTES:
            raise LunaError(37003)
        try:
            self.documents[part.name] = orjson.loads(part.data)
        except orjson.JSONDecodeError as error:
            raise LunaError(12002) from error
        if part.name in BOXES:
            self.trusted |= is_trusted(part.headers.get(TRUSTED_HEADER))

    def _add_file(self, part: Part, files: dict[str, Part]) -> None:
        name = part.filename or part.name
        if name in self.files or name in self.descriptors:
            raise LunaError(11046, name)
        files[name] = part
        if len(self.files) + len(self.descriptors) > MAX_IMAGES:
            raise LunaError(11049, f"More than {MAX_IMAGES} images in one request")

    def inputs(self) -> Inputs:
        """Raises LunaError 12030 without any file, 12027 and 11045-11050 for JSON parts that do not fit."""
        if not self.files and not self.descriptors:
            raise LunaError(12030)
        ours = {name: value for name, value in self.documents.items() if name not in self.rules.parts}
        checked = checked_data(DocumentsSerializer, ours)
        boxes = {kind: self._boxes(kind, checked.pop(kind)) for kind in BOXES}
        details = checked
        common_meta = details.get("meta", {}).pop(None, None)
        return Inputs(
            pictures=tuple(self._picture(name, part, boxes, details) for name, part in self.files.items()),
            descriptors=tuple(_descriptor_file(name, part, details) for name, part in self.descriptors.items()),
            meta=common_meta,
            parts={name: value for name, value in self.documents.items() if name in self.rules.parts},
        )

    def _boxes(self, kind: str, items: list[Mapping[str, Any]]) -> dict[str, tuple[Rect, ...]]:
        if items and self.rules.image_type is not ImageType.RAW:
            raise LunaError(11047)
        for name, times in Counter(item["filename"] for item in items).items():
            if times > 1:
                raise LunaError(11050, name)
            if name not in self.files:
                raise LunaError(11049, f"No image is named {name}")
        if any(len(item[kind]) > 1 for item in items):
            raise LunaError(11045)
        return {item["filename"]: tuple(item[kind]) for item in items}

    def _picture(
        self,
        name: str,
        part: Part,
        boxes: Mapping[str, Mapping[str, tuple[Rect, ...]]],
        details: Mapping[str, Mapping[str | None, Any]],
    ) -> Picture:
        error = None
        data = b""
        if len(part.data) > wire_bytes(settings.LUNA_MAX_IMAGE_BYTES, part.content_type):
            error = LunaError(37003)
        else:
            try:
                data = image_bytes(part.data, part.content_type)
            except LunaError as bad:
                error = bad
        return Picture(
            image=ImageInput(
                data=data,
                filename=name,
                image_type=self.rules.image_type,
                face_boxes=boxes[FACE_BOXES].get(name, ()),
                body_boxes=boxes[BODY_BOXES].get(name, ()),
                trusted_boxes=self.trusted,
            ),
            content_type=part.content_type,
            error=error,
            details=_details_of(name, details),
        )


def _descriptor_file(name: str, part: Part, details: Mapping[str, Mapping[str | None, Any]]) -> DescriptorFile:
    own = _details_of(name, details)
    try:
        if len(part.data) > MAX_DESCRIPTOR_BYTES:
            raise LunaError(37003)
        return DescriptorFile(filename=name, descriptors=descriptors_decode(part.data, part.content_type), details=own)
    except LunaError as error:
        return DescriptorFile(filename=name, error=error, details=own)


def _details_of(name: str, details: Mapping[str, Mapping[str | None, Any]]) -> Details:
    """What is said of this file, or else of all."""
    return Details(**{detail: values.get(name, values.get(None)) for detail, values in details.items()})


def is_trusted(header: str | None) -> bool:
    return (header or "").strip().lower() in ("1", "true")


def read_form(request: Request, rules: Rules) -> Inputs:
    """A multipart body. Raises LunaError 12030, 12046, 37003 and what `Form` raises."""
    if request.stream is None:
        raise LunaError(12030)
    form = Form(rules, trusted=is_trusted(request.headers.get(TRUSTED_HEADER)))
    max_part_bytes = settings.LUNA_MAX_IMAGE_BYTES * 3 // 2
    for part in read_parts(request.stream, request.content_type, max_part_bytes=max_part_bytes):
        form.add(part)
    return form.inputs()
