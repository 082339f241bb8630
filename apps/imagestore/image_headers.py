"""Pictures on their way into the store: what the header says, never more than that is believed or decoded."""

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
MAX_SAMPLE_COST_PIXELS = 1_000_000  # samples are smaller; a JPEG may pass over them in that many scans


@dataclass(frozen=True, slots=True)
class Picture:
    """Encoded bytes and their true media type; width and height in pixels."""

    data: bytes
    content_type: str
    width: int
    height: int


def picture_check(*, data: bytes, content_type: str, max_pixels: int) -> Picture:
    """Reads a picture's header.

    Raises LunaError NO_DATA for no bytes, BAD_CONTENT_TYPE for a media type that is no picture's,
    CONTENT_TYPE_MISMATCH when the bytes are not what the type says or show more than `max_pixels`.
    """
    with _opened(data, content_type, max_pixels) as (picture, _):
        return picture


def sample_check(*, data: bytes, content_type: str, size: tuple[int, int]) -> Picture:
    """A warp: a whole JPEG or PNG of `size` (width, height). Raises like `picture_check`, LunaError WRONG_IMAGE_SIZE,
    and what `common.pictures.decoding` raises.
    """
    with _opened(data, content_type, max_pixels=2**31) as (picture, image):
        if (picture.width, picture.height) != size:
            raise LunaError(errors.WRONG_IMAGE_SIZE, f"{size[0]}x{size[1]}")
        if image.format not in SAMPLE_FORMATS:
            raise LunaError(errors.BAD_CONTENT_TYPE)
        try:
            with decoding(image, picture.data, max_pixels=MAX_SAMPLE_COST_PIXELS):
                image.draft("L", (1, 1))  # of a JPEG all bytes are read, but few pixels are made of them
                image.load()  # a cut file is found here and not at extraction
        except (OSError, SyntaxError, ValueError) as error:
            raise LunaError(errors.CONTENT_TYPE_MISMATCH) from error
        return picture


@contextmanager
def _opened(data: bytes, content_type: str, max_pixels: int) -> Iterator[tuple[Picture, Image.Image]]:
    """A picture and its image, of which only the header was read. Raises as `picture_check`."""
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
    """Raises LunaError CONTENT_TYPE_MISMATCH for bytes that are none of the known formats."""
    try:
        return open_picture(data, tuple(FORMATS))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise LunaError(errors.CONTENT_TYPE_MISMATCH) from error


def decode_base64(data: bytes) -> bytes:
    """Raises LunaError CONTENT_TYPE_MISMATCH."""
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LunaError(errors.CONTENT_TYPE_MISMATCH) from error
