"""Bytes to RGB pixels, within bounds that are checked before a pixel is decoded.

Formats: JPEG, PNG, BMP, PPM (with PGM and PBM), TIFF, WebP, GIF, JPEG 2000, HEIF (HEIC) and AVIF; of animations and
many-page files the first picture. A JPEG may lack its end marker and have stray bytes before its start. Transparent
pixels are laid on white; 16-bit and float grey is scaled to 8 bit; CMYK, palettes and YCbCr are converted without
colour profiles. Most pictures are JPEG in three colours: Pillow reads what they are and OpenCV, with the same
libjpeg-turbo and so the same pixels, decodes them without Pillow's copies.

Errors: bytes that are no readable picture of these formats are LunaError BAD_IMAGE; pictures with more bytes or pixels
than allowed, with a side beyond `MAX_SIDE_PX`, or that cost more than their pixels (`common.pictures`), are LunaError
INVALID_IMAGE_SIZE with the figures. SERVICE_BUSY: too much is being decoded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.pictures import START, decoding, open_picture, trimmed
from apps.recognition.types import Image

FORMATS = ("JPEG", "PNG", "BMP", "PPM", "TIFF", "WEBP", "GIF", "JPEG2000", "HEIF", "AVIF")
MAX_SIDE_PX = 32_000  # OpenCV's warps index with 16 bits
STRIP_PIXELS = 1_000_000
ORIENTATION_TAG = 0x0112
END_MARKER = b"\xff\xd9"
FILLINGS = (b"\x55" * 16, b"\xaa" * 16)
TURNS: Mapping[int, Callable[[Any], Any]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.flip(cv2.transpose(pixels), -1),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """`pixels` uint8 RGB [H, W, 3], to be read only, oriented; `format` as in `FORMATS`; `exif` the raw tags."""

    pixels: Image
    format: str
    exif: Pillow.Exif


def decode(data: bytes, *, max_bytes: int, max_pixels: int, use_exif: bool = True) -> Decoded:
    """The picture in `data`, turned upright by its EXIF orientation where `use_exif` is set."""
    data = trimmed(data)
    decoded = partial(_decoded, max_bytes=max_bytes, max_pixels=max_pixels, use_exif=use_exif)
    try:
        return decoded(data)
    except LunaError as error:
        if error.code != errors.BAD_IMAGE or not data.startswith(START):
            raise
        return _without_end(data, decoded, error)


def _without_end(data: bytes, decoded: Callable[[bytes], Decoded], error: LunaError) -> Decoded:
    """A JPEG that lacks nothing but its end marker. Raises `error` for one that lacks pixels.

    What is filled in behind the last pixel is skipped by the decoder, what takes the place of missing pixels is not:
    two fillings give one picture in the first case only.
    """
    whole = data.rstrip(END_MARKER[:1])  # of the marker the first half may be present
    first, second = (decoded(whole + filling + END_MARKER) for filling in FILLINGS)
    if not np.array_equal(first.pixels, second.pixels):
        raise error
    return first


def _decoded(data: bytes, *, max_bytes: int, max_pixels: int, use_exif: bool) -> Decoded:
    try:
        with open_picture(data, FORMATS) as picture:
            _check_bounds(len(data), picture.size, max_bytes=max_bytes, max_pixels=max_pixels)
            with decoding(picture, data, max_pixels=max_pixels):
                pixels = _jpeg(data) if (picture.format, picture.mode) == ("JPEG", "RGB") else None
                if pixels is None:
                    pixels = _converted(picture, data)
                exif = _exif(picture)  # after the pixels: PNG may carry it behind them, TIFF turns itself there
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


def _converted(picture: Pillow.Image, data: bytes) -> Image:
    """The pixels of a picture that is not loaded yet. Strips bound the copies that conversion makes."""
    convert = _converter(picture, data)
    width, height = picture.size  # known now: TIFF turns itself when it is loaded
    pixels = np.empty((height, width, 3), np.uint8)
    for rows in _strips(width, height):
        pixels[rows] = convert(rows)
    return pixels


def _strips(width: int, height: int) -> list[slice]:
    rows = max(1, STRIP_PIXELS // width)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def _converter(picture: Pillow.Image, data: bytes) -> Callable[[slice], NDArray[np.uint8]]:
    """Load a picture. The function returned makes RGB (or grey with one channel) of its rows."""
    tiles = picture.tile  # type: ignore[attr-defined]  # of every picture that a file holds
    if tiles and tiles[0].codec_name == "ppm":
        deep, white = _binary_ppm(picture, data)
        return lambda rows: _eight_bits(deep[rows], white)
    picture.load()

    def strip(rows: slice) -> Pillow.Image:
        return picture.crop((0, rows.start, picture.width, rows.stop))

    if picture.mode.startswith("I"):
        return lambda rows: _eight_bits(np.asarray(strip(rows)), 65535)[..., None]
    if picture.mode == "F":
        brightest = max(_finite(np.asarray(strip(rows))).max() for rows in _strips(*picture.size))
        return lambda rows: _eight_bits(np.asarray(strip(rows)), 1 if brightest <= 1 else 255)[..., None]
    return lambda rows: np.asarray(_rgb(strip(rows)))


def _rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.mode in ("RGB", "L", "CMYK", "YCbCr", "1", "RGBX", "LAB", "HSV") and "transparency" not in picture.info:
        return picture.convert("RGB")
    on_white = Pillow.new("RGBA", picture.size, "white")
    on_white.alpha_composite(picture.convert("RGBA"))
    return on_white.convert("RGB")


def _binary_ppm(picture: Pillow.Image, data: bytes) -> tuple[NDArray[Any], int]:
    """Values [H, W, C] and white of PPM whose white is not 255. Pillow decodes these pixel by pixel in Python."""
    tile = picture.tile[0]  # type: ignore[attr-defined]
    (width, height), channels, white = picture.size, len(picture.getbands()), int(tile.args[-1])
    kind = np.dtype("u1" if white < 256 else ">u2")
    values = np.frombuffer(data, kind, width * height * channels, tile.offset)
    return values.reshape(height, width, channels), white


def _eight_bits(values: NDArray[Any], white: float) -> NDArray[np.uint8]:
    """Integers 0..`white`, floats 0..1 or 0..255."""
    return np.clip(np.rint(_finite(values.astype(np.float32)) * (255 / white)), 0, 255).astype(np.uint8)


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.isfinite(values), values, 0)
