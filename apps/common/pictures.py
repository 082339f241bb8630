"""Encoded pictures, opened within bounds: what decoding costs is known before a pixel is decoded.

A few kilobytes can ask for gigabytes or minutes: a progressive JPEG passes over all its pixels once a scan, some
formats need several copies of the picture while they are decoded, and parts of Pillow are loops in Python over
whatever the file repeats. `open_picture` bounds those loops, and `decoding` bounds the rest and the pixels that all
threads of the process decode at a time.
"""

import io
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pi_heif
from PIL import Image as Pillow
from PIL import ImageFile

from apps.common import errors
from apps.common.budget import Budget
from apps.common.containers import asked_pixels, is_container, still
from apps.common.errors import LunaError

# Reads of the file: a loop of Pillow over tiny parts takes a microsecond a read, 200 ms in all. The largest legitimate
# figures are those of run-length coded BMP and of PNG with thousands of chunks.
MAX_READS = 200_000
# Scans of a JPEG; encoders write 10 for three colours and 18 for four, optimising ones up to 20.
MAX_SCANS = 64
# Scans × pixels, as multiples of the pixels that are accepted: 1 ns each.
MAX_PASSES = 20
MAX_SEGMENTS = 20_000  # of a JPEG's markers
# Working memory of a decoder in bytes, as multiples of the pixels that are accepted. JPEG 2000 takes the most.
MAX_BYTES_PER_PIXEL = 20
# Pixels of all items of a HEIF or AVIF file, as multiples of those that are accepted: a grid and its tiles, thumbnails,
# transparency and gain maps.
MAX_ITEM_PIXELS = 4
MAX_PLAIN_SAMPLES = 1_000_000  # of a picture in text form (PPM "P3"), which Pillow reads in Python

MAX_STRAY_BYTES = 4096  # before a JPEG
START = b"\xff\xd8\xff"  # of a JPEG
STARTS = (
    START, b"\x89PNG", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"RIFF", b"\0\0\0\x0cjP", b"\xffO\xffQ",
    *(b"P%d" % kind for kind in range(1, 8)),
)  # fmt: skip

PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # Pillow keeps 4 bytes of every other mode
RGB_BYTES = 3
# Buffers of the decoder itself, bytes per pixel, measured on 48 million pixels.
BUFFER_BYTES = {"WEBP": 12, "AVIF": 6, "HEIF": 8, "JPEG2000": 16}
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # not a stuffed byte, a restart or padding
SCAN, END = 0xDA, 0xD9
BARE_MARKERS = frozenset({0x01, 0xD8, END})  # without length and content
SAMPLES_PER_PIXEL, BITS_PER_SAMPLE, PLANAR = 277, 258, 284  # tags of TIFF
ROWS_PER_STRIP, TILE_WIDTH, TILE_LENGTH = 278, 322, 323

os.environ.setdefault("LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER", str(MAX_PASSES))  # of JPEG inside of TIFF
# The callers' bounds are lower, and checked earlier, than Pillow's warning about decompression bombs.
Pillow.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False
pi_heif.register_heif_opener(thumbnails=False, decode_threads=1)


class BoundedReader(io.BytesIO):
    """The bytes of a file that may be read from `MAX_READS` times."""

    reads_left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise OSError("the file consists of too many parts")
        return super().read(size)


budget = Budget(100_000_000, 10.0)  # of this process; settings change it (`CommonConfig.ready`)


def open_picture(data: bytes, formats: Sequence[str]) -> Pillow.Image:
    """Read the header of a picture in one of Pillow's `formats`.

    `data` may have bytes before a JPEG that do not belong to it. Of a HEIF or AVIF sequence it is the picture that
    stands for it. Raises what Pillow raises: UnidentifiedImageError, OSError, ValueError, SyntaxError and others.
    """
    data = trimmed(data)
    if is_container(data):
        asked_pixels(data)  # the number of items, which are opened with the file
        data = still(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on metadata
        return Pillow.open(BoundedReader(data), formats=tuple(formats))


def trimmed(data: bytes) -> bytes:
    """Return the file from where its JPEG starts, if it starts with none of the formats' marks."""
    if data.startswith(STARTS) or is_container(data):
        return data
    place = data.find(START, 0, MAX_STRAY_BYTES + len(START))
    return data if place < 0 else data[place:]


@contextmanager
def decoding(picture: Pillow.Image, data: bytes, *, max_pixels: int) -> Iterator[None]:
    """Hold the process's budget while the pixels of `picture`, whose file is `data`, are decoded and converted.

    The caller has checked that it has at most `max_pixels`. Raises LunaError INVALID_IMAGE_SIZE where decoding would
    cost more than pictures of that size do, PROCESSING_TIMEOUT with status 503 where too much is decoded already.
    """
    data = trimmed(data)
    width, height = picture.size
    pixels = width * height
    if is_container(data):
        pixels = max(pixels, asked_pixels(data))
        if pixels > MAX_ITEM_PIXELS * max_pixels:
            raise LunaError(
                errors.INVALID_IMAGE_SIZE,
                f"{pixels} pixels in all items, at most {MAX_ITEM_PIXELS * max_pixels} are accepted",
            )
    codec = picture.tile[0].codec_name if isinstance(picture, ImageFile.ImageFile) and picture.tile else ""
    if codec == "ppm_plain" and width * height * len(picture.getbands()) > MAX_PLAIN_SAMPLES:
        raise LunaError(
            errors.INVALID_IMAGE_SIZE,
            f"{width}x{height} as text, at most {MAX_PLAIN_SAMPLES} values are accepted in this form",
        )
    if picture.format in ("JPEG", "MPO"):
        scans = jpeg_scans(data)
        if scans > MAX_SCANS or scans * width * height > MAX_PASSES * max_pixels:
            raise LunaError(
                errors.INVALID_IMAGE_SIZE,
                f"{width}x{height} in {scans} scans, at most {MAX_SCANS} scans and {MAX_PASSES * max_pixels} pixels "
                "of all scans are accepted",
            )
    needed = working_bytes(picture)
    if needed > max(MAX_BYTES_PER_PIXEL * max_pixels, 2**20):
        raise LunaError(
            errors.INVALID_IMAGE_SIZE,
            f"decoding needs {needed} bytes of memory, at most {MAX_BYTES_PER_PIXEL * max_pixels} are accepted",
        )
    with budget.take(pixels):
        yield


def jpeg_scans(data: bytes) -> int:
    """The scans that a decoder of JPEG passes over, found as libjpeg finds them.

    Raises LunaError INVALID_IMAGE_SIZE for more than `MAX_SEGMENTS` segments.
    """
    scans = segments = 0
    place = 2  # behind the marker of the start
    while found := MARKER.search(data, place):
        segments += 1
        if segments > MAX_SEGMENTS:
            raise LunaError(errors.INVALID_IMAGE_SIZE, f"more than {MAX_SEGMENTS} segments")
        marker, place = data[found.start() + 1], found.end()
        if marker == END:
            break
        scans += marker == SCAN
        if marker not in BARE_MARKERS:
            place += max(2, int.from_bytes(data[place : place + 2]))
    return scans


def working_bytes(picture: Pillow.Image) -> int:
    """Upper bound of what is allocated to decode a picture and to convert it into RGB, its file apart."""
    width, height = picture.size
    buffer = BUFFER_BYTES.get(picture.format or "", 0)
    if picture.format in ("JPEG", "MPO") and picture.info.get("progressive"):
        buffer = 2 * len(picture.getbands())  # coefficients of 16 bits
    buffer_bytes = buffer * width * height + _tiff_buffer_bytes(picture)
    # The buffers are gone when conversion begins.
    return PIXEL_BYTES.get(picture.mode, 4) * width * height + max(buffer_bytes, RGB_BYTES * width * height)


def _tiff_buffer_bytes(picture: Pillow.Image) -> int:
    """One strip or tile, whose size the file chooses. Raises OSError for tags that are no numbers."""
    tags = getattr(picture, "tag_v2", None)
    if tags is None:
        return 0
    width, height = picture.size
    try:
        sample_bits = np.max(tags.get(BITS_PER_SAMPLE, 1))
        samples = 1 if tags.get(PLANAR, 1) == 2 else tags.get(SAMPLES_PER_PIXEL, 1)
        if TILE_WIDTH in tags:
            area = tags[TILE_WIDTH] * tags.get(TILE_LENGTH, height)
        else:
            area = width * min(height, tags.get(ROWS_PER_STRIP, height))
        return int(area * samples * ((sample_bits + 7) // 8))
    except (TypeError, ValueError) as error:
        raise OSError("the tags are damaged") from error
