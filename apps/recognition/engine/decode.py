"""Decoding of bytes to RGB pixels, with limits that are checked before decoding.

Formats: JPEG, PNG, BMP, PPM (with PGM and PBM), TIFF, WebP, GIF, JPEG 2000, HEIF (HEIC) and AVIF. Animations and
multi-page files give their first picture. A JPEG may lack its end marker and have stray bytes before its start.
Transparent pixels become white. 16-bit and float grey is scaled to 8 bits. CMYK, palettes and YCbCr are converted
without colour profiles. OpenCV decodes JPEG in three colours, which most pictures are: its libjpeg-turbo gives the same
pixels as Pillow's, without Pillow's copies.

Raises LunaError BAD_IMAGE for bytes that are not a readable picture of these formats. Raises INVALID_IMAGE_SIZE, with
the figures, for too many bytes or pixels, a side above `MAX_SIDE_PX`, or a decoding cost above the limit
(`common.pictures`). Raises SERVICE_BUSY if too many pictures are being decoded.
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
    """Decoded picture.

    `pixels`: uint8 RGB [H, W, 3], oriented, read-only. `format`: one of `FORMATS`. `exif`: raw tags.
    """

    pixels: Image
    format: str
    exif: Pillow.Exif


def decode(data: bytes, *, max_bytes: int, max_pixels: int, use_exif: bool = True) -> Decoded:
    """Decode the picture in `data`, and apply its EXIF orientation if `use_exif`."""
    data = trimmed(data)
    decoded = partial(_decoded, max_bytes=max_bytes, max_pixels=max_pixels, use_exif=use_exif)
    try:
        return decoded(data)
    except LunaError as error:
        if error.code != errors.BAD_IMAGE or not data.startswith(START):
            raise
        return _without_end(data, decoded, error)


def _without_end(data: bytes, decoded: Callable[[bytes], Decoded], error: LunaError) -> Decoded:
    """Decode a JPEG without its end marker. Raises `error` if pixels are missing too.

    The decoder ignores bytes after the last pixel, but uses them in place of missing pixels. Two different paddings
    therefore give equal pictures only if no pixel is missing.
    """
    whole = data.rstrip(END_MARKER[:1])  # the first byte of the marker may be present
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
                exif = _exif(picture)  # after the pixels: PNG may store it there, TIFF applies it then
                turn = TURNS.get(exif.get(ORIENTATION_TAG, 1)) if use_exif else None
                return Decoded(pixels if turn is None else turn(pixels), picture.format or "", exif)
    except LunaError:
        raise
    except Exception as error:  # damaged files make Pillow's decoders raise a dozen kinds of errors
        raise LunaError(errors.BAD_IMAGE) from error


def _exif(picture: Pillow.Image) -> Pillow.Exif:
    """Return the EXIF tags, empty if they are damaged, because the pixels are still usable."""
    try:
        return picture.getexif()
    except Exception:  # as above: many kinds of errors
        return Pillow.Exif()


def _jpeg(data: bytes) -> Image | None:
    """Decode a JPEG in three colours without its orientation, None if OpenCV fails; Pillow then gives the error."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)  # type: ignore[return-value]


def _check_bounds(size_bytes: int, size_px: tuple[int, int], *, max_bytes: int, max_pixels: int) -> None:
    width, height = size_px
    if size_bytes > max_bytes:
        raise LunaError(errors.INVALID_IMAGE_SIZE, f"{size_bytes} bytes, at most {max_bytes} are accepted")
    if width * height > max_pixels or max(size_px) > MAX_SIDE_PX:
        raise LunaError(errors.INVALID_IMAGE_SIZE, f"{width}x{height}, at most {max_pixels} pixels are accepted")


def _converted(picture: Pillow.Image, data: bytes) -> Image:
    """Load and convert a picture in strips, which limit the memory of copies."""
    convert = _converter(picture, data)
    width, height = picture.size  # read before loading: TIFF applies its orientation while loading
    pixels = np.empty((height, width, 3), np.uint8)
    for rows in _strips(width, height):
        pixels[rows] = convert(rows)
    return pixels


def _strips(width: int, height: int) -> list[slice]:
    rows = max(1, STRIP_PIXELS // width)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def _converter(picture: Pillow.Image, data: bytes) -> Callable[[slice], NDArray[np.uint8]]:
    """Load a picture and return a function that converts rows to RGB, or to grey with one channel."""
    tiles = picture.tile  # type: ignore[attr-defined]  # set for every picture from a file
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
    """Return values [H, W, C] and white level of PPM with another white level than 255; Pillow is slow on these."""
    tile = picture.tile[0]  # type: ignore[attr-defined]
    (width, height), channels, white = picture.size, len(picture.getbands()), int(tile.args[-1])
    kind = np.dtype("u1" if white < 256 else ">u2")
    values = np.frombuffer(data, kind, width * height * channels, tile.offset)
    return values.reshape(height, width, channels), white


def _eight_bits(values: NDArray[Any], white: float) -> NDArray[np.uint8]:
    """Scale integers 0..`white`, floats 0..1 or floats 0..255 to uint8."""
    return np.clip(np.rint(_finite(values.astype(np.float32)) * (255 / white)), 0, 255).astype(np.uint8)


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.isfinite(values), values, 0)
