"""What decoding costs is bounded before a pixel is decoded: scans, parts, memory."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from apps.common.budget import Budget
from apps.common.errors import LunaError
from apps.common.pictures import MAX_READS, MAX_SCANS, decoding, jpeg_scans, open_picture, working_bytes
from apps.recognition.engine.decode import decode

MAX_PIXELS = 2_000_000
FORMATS = ("JPEG", "PNG", "BMP", "PPM", "TIFF", "GIF", "WEBP")


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def progressive(size: tuple[int, int], repeated: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    jpeg = saved(Image.new("L", size), "JPEG", progressive=True)
    last = jpeg.rfind(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * repeated + jpeg[-2:]


def read(data: bytes) -> np.ndarray:
    return decode(data, max_bytes=20_000_000, max_pixels=MAX_PIXELS).pixels


def refused(data: bytes) -> LunaError:
    with pytest.raises(LunaError) as caught:
        read(data)
    return caught.value


@pytest.mark.parametrize(("size", "repeated"), [((64, 64), MAX_SCANS), ((1000, 1000), 40), ((64, 64), 8000)])
def test_a_jpeg_of_too_many_scans_is_refused(size: tuple[int, int], repeated: int) -> None:
    error = refused(progressive(size, repeated))
    assert error.code == 100012
    assert f"{size[0]}x{size[1]} in {jpeg_scans(progressive(size, repeated))} scans" in error.detail


@pytest.mark.parametrize(
    "picture", [Image.new("L", (1414, 1414)), Image.new("RGB", (1414, 1414)), Image.new("CMYK", (900, 900))]
)
def test_the_scans_of_usual_encoders_are_accepted(picture: Image.Image) -> None:
    data = saved(picture, "JPEG", progressive=True)
    assert 2 <= jpeg_scans(data) <= 18
    assert read(data).shape[:2] == picture.size[::-1]


def test_what_follows_the_picture_or_is_embedded_counts_no_scan() -> None:
    thumbnail = progressive((64, 64), 200)
    jpeg = saved(Image.new("RGB", (64, 64)), "JPEG", comment=thumbnail[:60_000])
    assert jpeg_scans(jpeg) == 1
    assert jpeg_scans(jpeg + b"\xff\xda" * 5000) == 1  # a film behind the picture
    assert read(jpeg + b"\xff\xda" * 5000).shape == (64, 64, 3)


def test_an_end_inside_a_comment_hides_no_scan() -> None:
    jpeg = progressive((64, 64), 100)
    last = jpeg.rfind(b"\xff\xda")
    comment = b"\xff\xfe\x00\x04\xff\xd9"
    first = jpeg.find(b"\xff\xda")
    assert jpeg_scans(jpeg[:first] + comment + jpeg[first:last] + comment + jpeg[last:]) == jpeg_scans(jpeg)


def test_scans_of_a_jpeg_inside_of_tiff_are_bounded() -> None:
    jpeg = progressive((64, 64), 100)
    entries = [(256, 64), (257, 64), (258, 8), (259, 7), (262, 1), (273, 8), (277, 1), (278, 64), (279, len(jpeg))]
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries
    )
    tiff = b"II*\0" + struct.pack("<I", 8 + len(jpeg)) + jpeg + directory + bytes(4)
    assert refused(tiff).code == 18003
    once = progressive((64, 64), 0)
    good = tiff.replace(jpeg, once + bytes(len(jpeg) - len(once)))
    assert read(good).shape == (64, 64, 3)


def png_chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


SMALL = {kind: saved(Image.new("P", (64, 64)), kind) for kind in ("PNG", "GIF", "BMP")} | {
    "JPEG": saved(Image.new("L", (64, 64)), "JPEG")
}
RLE = SMALL["BMP"][:30] + struct.pack("<I", 1) + SMALL["BMP"][34 : 54 + 1024]


@pytest.mark.parametrize(
    "data",
    [
        SMALL["JPEG"][:2] + b"\xff\xe5\x00\x02" * MAX_READS + SMALL["JPEG"][2:],
        SMALL["JPEG"][:2] + b"\xff" * (2 * MAX_READS) + SMALL["JPEG"][2:],
        SMALL["PNG"][:33] + png_chunk(b"abCd") * MAX_READS + SMALL["PNG"][33:],
        SMALL["PNG"][:-12] + png_chunk(b"abCd") * MAX_READS + SMALL["PNG"][-12:],
        SMALL["PNG"][:33] + png_chunk(b"IDAT") * MAX_READS + SMALL["PNG"][33:],
        RLE + bytes(2 * MAX_READS),
    ],
    ids=["jpeg-segments", "jpeg-padding", "png-chunks", "png-chunks-behind", "png-data", "bmp-runs"],
)
def test_a_file_of_too_many_parts_is_refused(data: bytes) -> None:
    assert refused(data).code == 18003


def test_a_jpeg_of_too_many_segments_between_its_scans_is_refused() -> None:
    first = SMALL["JPEG"].find(b"\xff\xda")
    assert refused(SMALL["JPEG"][:-2] + b"\xff\xfe\x00\x02" * 30_000 + SMALL["JPEG"][first:]).code == 100012


def test_a_large_picture_as_text_is_refused_and_a_small_one_read() -> None:
    assert refused(b"P2 1001 1000 255\n" + b"1 " * 1_001_000).code == 100012
    assert read(b"P2 3 1 255\n0 128 255\n")[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("head", "values", "expected"),
    [
        (b"P5 3 1 100\n", bytes([0, 50, 100]), [0, 128, 255]),
        (b"P5 3 1 1000\n", struct.pack(">3H", 0, 500, 1000), [0, 128, 255]),
        (b"P5 3 1 65535\n", struct.pack(">3H", 0, 32768, 65535), [0, 128, 255]),
        (b"P6 1 1 65535\n", struct.pack(">3H", 0, 32768, 65535), None),
    ],
)
def test_grey_and_colour_of_any_white_are_read(head: bytes, values: bytes, expected: list[int] | None) -> None:
    pixels = read(head + values)
    if expected is None:
        assert pixels[0, 0].tolist() == [0, 128, 255]
    else:
        assert pixels[0, :, 0].tolist() == expected == pixels[0, :, 2].tolist()


def test_a_deep_picture_that_is_cut_is_refused() -> None:
    assert refused(b"P5 30 30 1000\n" + bytes(100)).code == 18003


@pytest.mark.parametrize(
    "data",
    [
        saved(Image.fromarray(np.zeros((1000, 2000), np.float32)), "TIFF", compression="tiff_adobe_deflate"),
        saved(Image.fromarray(np.zeros((1000, 2000), np.uint16)), "PNG"),
        saved(Image.new("RGBA", (2000, 1000)), "PNG"),
        saved(Image.new("1", (2000, 1000)), "TIFF", compression="group4"),
        saved(Image.new("RGB", (2000, 1000)), "JPEG", progressive=True),
        saved(Image.new("RGB", (2000, 1000)), "WEBP"),
    ],
    ids=["float32", "grey16", "rgba", "fax", "progressive", "webp"],
)
def test_usual_pictures_of_any_depth_need_a_bounded_memory(data: bytes) -> None:
    picture = open_picture(data, FORMATS)
    assert working_bytes(picture) <= 16 * MAX_PIXELS
    assert read(data).shape == (1000, 2000, 3)


def test_strips_join_without_a_seam() -> None:
    grey = np.random.default_rng(0).integers(0, 65536, (1500, 1300), np.uint16)
    expected = np.rint(grey / 257.0).astype(np.uint8)
    np.testing.assert_array_equal(read(saved(Image.fromarray(grey), "PNG"))[..., 1], expected)


def test_the_brightest_pixel_of_any_strip_says_what_is_white() -> None:
    grey = np.full((1500, 1300), 0.5, np.float32)
    grey[0, 0], grey[1499, 1299] = np.nan, 200
    pixels = read(saved(Image.fromarray(grey), "TIFF"))
    assert (pixels[0, 0, 0], pixels[700, 0, 0], pixels[1499, 1299, 0]) == (0, 0, 200)


def test_a_tile_larger_than_its_picture_is_refused() -> None:
    values = [
        (256, 16),
        (257, 16),
        (258, 8),
        (259, 1),
        (262, 1),
        (277, 1),
        (322, 32768),
        (323, 32768),
        (324, 8),
        (325, 8),
    ]
    directory = struct.pack("<H", len(values)) + b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in values
    )
    error = refused(b"II*\0" + struct.pack("<I", 8) + directory + bytes(4096))
    assert error.code == 100012
    assert "bytes of memory" in error.detail


def test_the_budget_is_given_back_when_decoding_fails() -> None:
    cut = saved(Image.effect_noise((200, 200), 9), "PNG")[:-2000]
    budget = Budget("units are in use", 100_000, wait_s=0.05)
    picture = open_picture(cut, FORMATS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("apps.common.pictures.budget", budget)
        with pytest.raises(OSError, match=r".*"), decoding(picture, cut, max_pixels=MAX_PIXELS):
            picture.load()
    assert budget._taken == 0
