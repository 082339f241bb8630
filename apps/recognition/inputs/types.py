"""What a request for recognition holds, once it is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.errors import LunaError
from apps.recognition.inputs.sources import everything
from apps.recognition.types import ImageInput, ImageType

MAX_ORIGIN_CHARACTERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a resource takes beside images and references to them.

    `account_id`: whose stored images and samples may be named, None for nobody's. `parts`: names of further JSON parts
    of a multipart body. `details`: names of `Details` that may be given. `descriptors`: whether descriptors
    and XPK files may stand in for images. `bodies`: whether boxes of bodies may be given. `readable`: which stored
    objects the client may name, by their kind in permissions; what he may not is not there.
    """

    account_id: UUID | None
    image_type: ImageType = ImageType.RAW
    parts: frozenset[str] = frozenset()
    details: frozenset[str] = frozenset()
    descriptors: bool = False
    bodies: bool = False
    readable: Callable[[str], bool] = everything


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What the client says about one image. `detect_ts`: seconds from the start of a video."""

    meta: Mapping[str, Any] | None = None
    detect_time: datetime | None = None
    detect_ts: float | None = None
    image_origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """One image of a request, or the error that kept it from being read. `url`, `sample_id`: where it came from."""

    image: ImageInput
    content_type: str = ""
    error: LunaError | None = None
    details: Details = Details()
    url: str | None = None
    sample_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DescriptorFile:
    """What stands in for an image: one descriptor, those of an XPK file, or the error that kept it from being read."""

    filename: str
    descriptors: tuple[tuple[DescriptorVersion, Vector], ...] = ()
    error: LunaError | None = None
    details: Details = Details()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """A request's images in its order, descriptors in theirs, common `meta`, other JSON parts by name.

    `alone`: the body was one image or descriptor itself, so its error is the request's.
    """

    pictures: tuple[Picture, ...] = ()
    descriptors: tuple[DescriptorFile, ...] = ()
    meta: Mapping[str, Any] | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False
