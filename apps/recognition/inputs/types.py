"""What a request for recognition holds: references as they are parsed, pictures as they are loaded."""

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
    """What a resource accepts beside images and references to them.

    `image_type`: what images show, stored samples excepted. `parts`: names of further JSON parts of a multipart body.
    `details`: names of `Details` that may be given. `descriptors`: whether descriptors and XPK files are accepted in
    place of images. `bodies`: whether boxes of bodies may be given. `max_images`: the most images and descriptor files.
    """

    image_type: ImageType = ImageType.RAW
    parts: frozenset[str] = frozenset()
    details: frozenset[str] = frozenset()
    descriptors: bool = False
    bodies: bool = False
    max_images: int = field(default_factory=lambda: config(SdkLimits).received_images_limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What the client says about one image. `detect_ts`: seconds from the start of a video."""

    meta: Mapping[str, Any] | None = None
    detect_time: datetime | None = None
    detect_ts: float | None = None
    image_origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageReference:
    """One image of a request before it is loaded: its bytes, or else a URL or the id of a stored face sample.

    `error` is why the bytes could not be read.
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
    """One loaded image of a request, or the error that prevented it. `url`, `sample_id`: where it came from."""

    image: ImageInput
    error: LunaError | None = None
    details: Details = Details()
    url: str | None = None
    sample_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DescriptorFile:
    """One descriptor in place of an image, those of an XPK file, or the error that prevented reading it."""

    filename: str
    descriptors: tuple[tuple[DescriptorVersion, Vector], ...] = ()
    error: LunaError | None = None
    details: Details = Details()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequestBody:
    """What a request holds beside images: its descriptors, `meta` of all its images, other JSON parts by name.

    `alone`: the body was one image or descriptor itself, so its error is the request's.
    """

    descriptors: tuple[DescriptorFile, ...] = ()
    meta: Mapping[str, Any] | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InputReferences(RequestBody):
    """A parsed request: references to its images in their order. `image_type`: what they show, samples excepted."""

    images: tuple[ImageReference, ...] = ()
    image_type: ImageType = ImageType.RAW


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs(RequestBody):
    """A request with its images loaded, in their order."""

    pictures: tuple[Picture, ...] = ()
