"""Bytes to RGB pixels, within bounds that are checked before a pixel is decoded.

Formats: JPEG, PNG, BMP, PPM (with PGM and PBM), TIFF, WebP and GIF; of animations and many-page files the first
picture. Transparent pixels are laid on white; 16-bit and float grey is scaled to 8 bit; CMYK, palettes and YCbCr are
converted without colour profiles. Most pictures are JPEG in three colours: Pillow reads what they are and OpenCV, with
the same libjpeg-turbo and so the same pixels, decodes them without Pillow's copies.

Errors: bytes that are no readable picture of these formats are LunaError BAD_IMAGE; pictures with more bytes or pixels
than allowed, or with a side beyond `MAX_SIDE_PX`, are LunaError INVALID_IMAGE_SIZE with the figures.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFile

from apps.common import errors
from apps.common.errors import LunaError
from apps.recognition.types import Image

FORMATS = ("JPEG", "PNG", "BMP", "PPM", "TIFF", "WEBP", "GIF")
MAX_SIDE_PX = 32_000  # OpenCV's warps index with 16 bits
ORIENTATION_TAG = 0x0112
TURNS: Mapping[int, Callable[[Any], Any]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.flip(cv2.transpose(pixels), -1),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}

# Our own bound is lower, and checked earlier, than Pillow's warning about decompression bombs.
Pillow.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """`pixels` uint8 RGB [H, W, 3], to be read only, oriented; `format` as in `FORMATS`; `exif` the raw tags."""

    pixels: Image
    format: str
    exif: Pillow.Exif


def decode(data: bytes, *, max_bytes: int, max_pixels: int, use_exif: bool = True) -> Decoded:
    """The picture in `data`, turned upright by its EXIF orientation where `use_exif` is set."""
    try:
        with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_bounds(len(data), picture.size, max_bytes=max_bytes, max_pixels=max_pixels)
            pixels = _jpeg(data) if (picture.format, picture.mode) == ("JPEG", "RGB") else None
            if pixels is None:
                picture.load()
                pixels = np.asarray(_rgb(picture), np.uint8)
            exif = _exif(picture)  # after load: PNG may carry it behind the pixels, TIFF turns itself there
            turn = TURNS.get(exif.get(ORIENTATION_TAG, 1)) if use_exif else None
            return Decoded(pixels if turn is None else turn(pixels), picture.format or "", exif)
    except LunaError:
        raise
    except Exception as error:  # damaged files make Pillow's decoders raise a dozen kinds of errors
        raise LunaError(errors.BAD_IMAGE) from error


def _exif(picture: Pillow.Image) -> Pillow.Exif:
    """The tags; none where they are damaged, the pixels are there all the same."""
    try:
        return picture.getexif()
    except Exception:  # as above: many kinds of errors
        return Pillow.Exif()


def _jpeg(data: bytes) -> Image | None:
    """Three colours, not turned; None where OpenCV gives up, and Pillow is to say why."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)  # type: ignore[return-value]


def _check_bounds(size_bytes: int, size_px: tuple[int, int], *, max_bytes: int, max_pixels: int) -> None:
    width, height = size_px
    if size_bytes > max_bytes:
        raise LunaError(errors.INVALID_IMAGE_SIZE, f"{size_bytes} bytes, at most {max_bytes} are accepted")
    if width * height > max_pixels or max(size_px) > MAX_SIDE_PX:
        raise LunaError(errors.INVALID_IMAGE_SIZE, f"{width}x{height}, at most {max_pixels} pixels are accepted")


def _rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode in ("RGB", "L", "CMYK", "YCbCr", "1", "RGBX") and "transparency" not in picture.info:
        return picture if picture.mode == "RGB" else picture.convert("RGB")
    if picture.mode.startswith("I") or picture.mode == "F":
        return Pillow.fromarray(_eight_bits(np.asarray(picture))).convert("RGB")
    if picture.mode in ("LAB", "HSV"):
        return picture.convert("RGB")
    on_white = Pillow.new("RGBA", picture.size, "white")
    on_white.alpha_composite(picture.convert("RGBA"))
    return on_white.convert("RGB")


def _eight_bits(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Integers are 16-bit grey, floats 0..1 (or 0..255 where they exceed 1)."""
    values = np.nan_to_num(grey.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    white = 65535.0 if grey.dtype.kind in "iu" else 1.0 if values.max(initial=0.0) <= 1 else 255.0
    return np.clip(np.rint(values * (255 / white)), 0, 255).astype(np.uint8)
