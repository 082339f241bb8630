"""Validation of pictures before they are stored, by their headers; only samples are decoded."""

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.pictures import decoding, open_picture

FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "BMP": "image/bmp", "TIFF": "image/tiff", "GIF": "image/gif",
           "PPM": "image/x-portable-pixmap", "WEBP": "image/webp", "JPEG2000": "image/jp2",
           "HEIF": "image/heic", "AVIF": "image/avif"}  # fmt: skip
SYNONYMS = {"image/jpg": "image/jpeg", "image/x-windows-bmp": "image/bmp", "image/pjpeg": "image/jpeg",
            "image/heif": "image/heic", "image/jpeg2000": "image/jp2", "image/jpx": "image/jp2"}  # fmt: skip
CONTENT_TYPES = frozenset({*FORMATS.values(), *SYNONYMS})
BASE64_TYPES = {f"image/x-{name.split('/')[1].removeprefix('x-')}-base64": name for name in sorted(CONTENT_TYPES)}
SAMPLE_FORMATS = frozenset({"JPEG", "PNG"})
MAX_SAMPLE_COST_PIXELS = 1_000_000  # cost limit of decoding a sample, which has at most 62,500 pixels


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture with its actual media type; width and height in pixels."""

    data: bytes
    content_type: str
    width: int
    height: int


def picture_check(*, data: bytes, content_type: str, max_pixels: int) -> Picture:
    """Validate a picture by its header.

    Raises LunaError NO_DATA for empty data, BAD_CONTENT_TYPE for a media type that is not supported,
    CONTENT_TYPE_MISMATCH when the data has another format or more than `max_pixels`.
    """
    with _opened(data, content_type, max_pixels) as (picture, _):
        return picture


def sample_check(*, data: bytes, content_type: str, size: tuple[int, int]) -> Picture:
    """Validate a sample: a complete JPEG or PNG of `size` (width, height in pixels).

    Raises the errors of `picture_check` and `common.pictures.decoding`, and LunaError WRONG_IMAGE_SIZE.
    """
    with _opened(data, content_type, max_pixels=2**31) as (picture, image):
        if (picture.width, picture.height) != size:
            raise LunaError(errors.WRONG_IMAGE_SIZE, f"{size[0]}x{size[1]}")
        if image.format not in SAMPLE_FORMATS:
            raise LunaError(errors.BAD_CONTENT_TYPE)
        try:
            with decoding(image, picture.data, max_pixels=MAX_SAMPLE_COST_PIXELS):
                image.draft("L", (1, 1))  # a JPEG is read completely, but decoded to few pixels
                image.load()  # a truncated file fails here instead of at extraction
        except (OSError, SyntaxError, ValueError) as error:
            raise LunaError(errors.CONTENT_TYPE_MISMATCH) from error
        return picture


@contextmanager
def _opened(data: bytes, content_type: str, max_pixels: int) -> Iterator[tuple[Picture, Image.Image]]:
    """Open a picture, reading only its header. Raises as `picture_check` does."""
    declared = content_type.partition(";")[0].strip().lower()
    if declared in BASE64_TYPES:
        declared, data = BASE64_TYPES[declared], decode_base64(data)
    if declared not in CONTENT_TYPES:
        raise LunaError(errors.BAD_CONTENT_TYPE)
    if not data:
        raise LunaError(errors.NO_DATA)
    with open_image(data) as image:
        actual, (width, height) = FORMATS[str(image.format)], image.size
        if actual != SYNONYMS.get(declared, declared) or width * height > max_pixels:
            raise LunaError(errors.CONTENT_TYPE_MISMATCH)
        yield Picture(data, actual, width, height), image


def open_image(data: bytes) -> Image.Image:
    """Open an image of a supported format. Raises LunaError CONTENT_TYPE_MISMATCH for other data."""
    try:
        return open_picture(data, tuple(FORMATS))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise LunaError(errors.CONTENT_TYPE_MISMATCH) from error


def decode_base64(data: bytes) -> bytes:
    """Decode base64. Raises LunaError CONTENT_TYPE_MISMATCH."""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LunaError(errors.CONTENT_TYPE_MISMATCH) from error
