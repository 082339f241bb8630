"""Dataclasses of recognition inputs: parsed references and loaded pictures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.common.config import config
from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.errors import LunaError
from apps.recognition.config import SdkLimits
from apps.recognition.types import ImageInput, ImageType, Rect

MAX_ORIGIN_CHARACTERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Inputs that a resource accepts.

    `image_type`: content of the images, except stored samples. `parts`: names of other JSON parts of a multipart body,
    or members of a JSON body. `details`: names of accepted `Details`. `descriptors`: whether descriptors and XPK files
    can replace images. `bodies`: whether body boxes are accepted. `max_images`: maximum number of images and descriptor
    files.
    """

    image_type: ImageType = ImageType.RAW
    parts: frozenset[str] = frozenset()
    details: frozenset[str] = frozenset()
    descriptors: bool = False
    bodies: bool = False
    max_images: int = field(default_factory=lambda: config(SdkLimits).received_images_limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Details of one image from the client. `detect_ts`: seconds since the start of a video."""

    meta: Mapping[str, Any] | None = None
    detect_time: datetime | None = None
    detect_ts: float | None = None
    image_origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageReference:
    """Reference to one image: its bytes, a URL, or the id of a stored face sample.

    `error`: the error that prevented reading the bytes.
    """

    data: bytes = b""
    url: str | None = None
    sample_id: UUID | None = None
    filename: str = "raw_image"
    face_boxes: tuple[Rect, ...] = ()
    body_boxes: tuple[Rect, ...] = ()
    trusted_boxes: bool = False
    error: LunaError | None = None
    details: Details = Details()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """Loaded image of a request, or the error that prevented loading. `url`, `sample_id`: its source."""

    image: ImageInput
    error: LunaError | None = None
    details: Details = Details()
    url: str | None = None
    sample_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DescriptorFile:
    """Descriptor that replaces an image, descriptors of an XPK file, or the error that prevented reading them."""

    filename: str
    descriptors: tuple[tuple[DescriptorVersion, Vector], ...] = ()
    error: LunaError | None = None
    details: Details = Details()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequestBody:
    """Contents of a request besides images: descriptors, `meta` of all images, other JSON parts by name.

    `alone`: the body is a single image or descriptor, so its error is the error of the request.
    """

    descriptors: tuple[DescriptorFile, ...] = ()
    meta: Mapping[str, Any] | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InputReferences(RequestBody):
    """Parsed request with references to its images, in order. `image_type`: their content, except stored samples."""

    images: tuple[ImageReference, ...] = ()
    image_type: ImageType = ImageType.RAW


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs(RequestBody):
    """Request with loaded images, in order."""

    pictures: tuple[Picture, ...] = ()
