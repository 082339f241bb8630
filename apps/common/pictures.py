"""Safe opening and decoding of pictures: the cost of decoding is checked before a pixel is decoded.

A file of a few kilobytes can cost gigabytes or minutes. A progressive JPEG passes over all pixels once per scan, some
formats need several copies of the picture, and parts of Pillow loop in Python over repeated parts of a file.
`open_picture` limits those loops. `decoding` limits the other costs, and the pixels that all threads of the process
decode at a time.
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

# Reads of a file: a Pillow loop over tiny parts takes 1 µs per read, so at most 200 ms. Run-length coded BMP and PNG
# with thousands of chunks have the largest legitimate numbers.
MAX_READS = 200_000
# Scans of a JPEG: encoders write 10 for three colours and 18 for four, optimising encoders up to 20.
MAX_SCANS = 64
# Limit of scans × pixels, as a multiple of the accepted pixels; each costs 1 ns.
MAX_PASSES = 20
MAX_SEGMENTS = 20_000  # marker segments of a JPEG
# Working memory of a decoder in bytes per accepted pixel. JPEG 2000 needs the most.
MAX_BYTES_PER_PIXEL = 20
# Pixels of all items of a HEIF or AVIF file per accepted pixel: a grid and its tiles, thumbnails, transparency and gain
# maps.
MAX_ITEM_PIXELS = 4
MAX_PLAIN_SAMPLES = 1_000_000  # values of a PPM in text form ("P3"), which Pillow parses in Python

MAX_STRAY_BYTES = 4096  # before a JPEG
START = b"\xff\xd8\xff"  # of a JPEG
STARTS = (
    START, b"\x89PNG", b"BM", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"RIFF", b"\0\0\0\x0cjP", b"\xffO\xffQ",
    *(b"P%d" % kind for kind in range(1, 8)),
)  # fmt: skip

PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # Pillow uses 4 bytes for every other mode
RGB_BYTES = 3
# Buffers of the decoder in bytes per pixel, measured with 48 million pixels.
BUFFER_BYTES = {"WEBP": 12, "AVIF": 6, "HEIF": 8, "JPEG2000": 16}
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # no stuffed byte, restart or padding
SCAN, END = 0xDA, 0xD9
BARE_MARKERS = frozenset({0x01, 0xD8, END})  # without length and content
SAMPLES_PER_PIXEL, BITS_PER_SAMPLE, PLANAR = 277, 258, 284  # tags of TIFF
ROWS_PER_STRIP, TILE_WIDTH, TILE_LENGTH = 278, 322, 323

os.environ.setdefault("LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER", str(MAX_PASSES))  # scans of a JPEG inside a TIFF
# The callers' limits are lower, and are checked earlier, than Pillow's own.
Pillow.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False
pi_heif.register_heif_opener(thumbnails=False, decode_threads=1)


class BoundedReader(io.BytesIO):
    """The bytes of a file, which may be read at most `MAX_READS` times."""

    reads_left = MAX_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise OSError(f"the file needs more than {MAX_READS} reads")
        return super().read(size)


budget = Budget("pictures are being decoded", 100_000_000, 10.0)  # `CommonConfig.ready` sets it from the settings


def open_picture(data: bytes, formats: Sequence[str]) -> Pillow.Image:
    """Read the header of a picture in one of these formats of Pillow.

    A JPEG may follow up to `MAX_STRAY_BYTES` stray bytes. A HEIF or AVIF sequence yields its primary picture. Raises
    Pillow's errors: UnidentifiedImageError, OSError, ValueError, SyntaxError and others.
    """
    data = trimmed(data)
    if is_container(data):
        asked_pixels(data)  # checks the number of items before Pillow opens them
        data = still(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of malformed metadata
        return Pillow.open(BoundedReader(data), formats=tuple(formats))


def trimmed(data: bytes) -> bytes:
    """Return the file without stray bytes before a JPEG, if it starts with the magic bytes of no format."""
    if data.startswith(STARTS) or is_container(data):
        return data
    place = data.find(START, 0, MAX_STRAY_BYTES + len(START))
    return data if place < 0 else data[place:]


@contextmanager
def decoding(picture: Pillow.Image, data: bytes, *, max_pixels: int) -> Iterator[None]:
    """Check the cost of decoding `picture`, whose file is `data`, and hold the process's budget during it.

    The caller has checked that the picture has at most `max_pixels`. Raises LunaError INVALID_IMAGE_SIZE when decoding
    costs more than a picture of that size should, SERVICE_BUSY when the budget is in use.
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
            f"{width}x{height} as text, at most {MAX_PLAIN_SAMPLES} values are accepted as text",
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
    """Count the scans of a JPEG, with libjpeg's rules for markers.

    Raises LunaError INVALID_IMAGE_SIZE for more than `MAX_SEGMENTS` segments.
    """
    scans = segments = 0
    place = 2  # after the start marker
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
    """Return an upper bound of the bytes allocated to decode a picture and convert it to RGB, without its file."""
    width, height = picture.size
    buffer = BUFFER_BYTES.get(picture.format or "", 0)
    if picture.format in ("JPEG", "MPO") and picture.info.get("progressive"):
        buffer = 2 * len(picture.getbands())  # coefficients of 16 bits
    buffer_bytes = buffer * width * height + _tiff_buffer_bytes(picture)
    # The decoder frees its buffers before the conversion.
    return PIXEL_BYTES.get(picture.mode, 4) * width * height + max(buffer_bytes, RGB_BYTES * width * height)


def _tiff_buffer_bytes(picture: Pillow.Image) -> int:
    """Return the bytes of one strip or tile of a TIFF. Raises OSError for tags that are not numbers."""
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
