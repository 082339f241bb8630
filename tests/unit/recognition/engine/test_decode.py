"""Odd pictures: every colour model becomes RGB, every damaged file the same error, and size is checked first."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin

from apps.common.errors import LunaError
from apps.recognition.engine.decode import Decoded, decode
from apps.recognition.engine.exif import read_exif
from tests.containers import saved_heif
from tests.unit.recognition.pictures import encoded

BYTES, PIXELS = 2_000_000, 4_000_000


def read(data: bytes, **options: bool) -> Decoded:
    return decode(data, max_bytes=BYTES, max_pixels=PIXELS, **options)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def gradient() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:40, 0:60]
    return np.stack([x * 4, y * 6, (x + y) * 2], -1).astype(np.uint8)


RGB = Image.fromarray(gradient())
ORIENTED = Image.Exif()
ORIENTED[0x0112] = 6  # the camera was turned by a quarter


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    result = read(saved(RGB, kind))
    assert result.format == kind
    assert result.pixels.dtype == np.uint8
    np.testing.assert_array_equal(result.pixels, gradient())


@pytest.mark.parametrize(
    ("picture", "kind", "tolerance"),
    [
        (RGB, "JPEG", 16),
        (RGB, "WEBP", 24),
        (RGB.convert("CMYK"), "JPEG", 24),
        (RGB.convert("CMYK"), "TIFF", 2),
        (RGB.convert("YCbCr"), "JPEG", 16),
        (RGB.convert("RGBA"), "PNG", 0),
        (RGB.convert("P", palette=Image.Palette.ADAPTIVE), "PNG", 40),
        (RGB.convert("P", palette=Image.Palette.ADAPTIVE), "GIF", 40),
        (RGB.convert("LAB"), "TIFF", 255),
    ],
)
def test_colour_models_become_rgb(picture: Image.Image, kind: str, tolerance: int) -> None:
    pixels = read(saved(picture, kind)).pixels
    assert pixels.shape == (40, 60, 3)
    assert np.abs(pixels.astype(int) - gradient()).mean() <= tolerance / 4


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (RGB.convert("L"), "PNG"),
        (RGB.convert("L"), "JPEG"),
        (RGB.convert("LA"), "PNG"),
        (Image.fromarray(np.asarray(RGB.convert("L")).astype(np.uint16) * 257), "PNG"),
        (Image.fromarray(np.asarray(RGB.convert("L")).astype(np.uint16) * 257), "TIFF"),
        (Image.fromarray(np.asarray(RGB.convert("L")).astype(np.float32) / 255), "TIFF"),
    ],
)
def test_greys_of_any_depth_are_equal(picture: Image.Image, kind: str) -> None:
    pixels = read(saved(picture, kind)).pixels.astype(int)
    np.testing.assert_allclose(pixels[..., 0], np.asarray(RGB.convert("L")), atol=6)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])


def test_bilevel_is_black_and_white() -> None:
    pixels = read(saved(RGB.convert("1"), "PNG")).pixels
    assert set(np.unique(pixels)) == {0, 255}


def test_transparent_pixels_are_white() -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:4, :, 3] = 255
    result = read(encoded(pixels)).pixels
    assert result[:4].max() == 0
    assert result[4:].min() == 255


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_picture_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    result = read(saved(frames[0], kind, save_all=True, append_images=frames[1:])).pixels
    red, _, blue = result.reshape(-1, 3).mean(0)
    assert red > 200
    assert blue < 60


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_turns_the_picture(kind: str) -> None:
    result = read(saved(RGB, kind, exif=ORIENTED))
    assert result.pixels.shape == (60, 40, 3)
    expected = np.rot90(gradient(), k=-1)
    assert np.abs(result.pixels.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_every_orientation_turns_as_pillow_does(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(RGB, kind, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(read(data).pixels, np.asarray(upright))


@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2, "progressive": True}])
@pytest.mark.parametrize("size", [(60, 40), (33, 17)])
def test_jpeg_has_the_pixels_that_pillow_sees(size: tuple[int, int], options: dict[str, object]) -> None:
    data = saved(RGB.resize(size), "JPEG", **options)
    np.testing.assert_array_equal(read(data).pixels, np.asarray(Image.open(io.BytesIO(data))))


def test_exif_orientation_can_be_ignored() -> None:
    assert read(saved(RGB, "JPEG", exif=ORIENTED), use_exif=False).pixels.shape == (40, 60, 3)


def whole_jpeg() -> bytes:
    return saved(RGB, "JPEG")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"not a picture, whatever its name says",
        bytes(17_000_000),
        whole_jpeg()[:-300],
        saved(RGB, "PNG")[:-60],
        saved(RGB, "PNG")[:30],
        whole_jpeg()[:4],
        b"%PDF-1.7 " + bytes(200),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        saved(RGB, "ICO"),
    ],
    ids=["empty", "byte", "text", "zeros", "cut-jpeg", "cut-png", "png-header", "jpeg-header", "pdf", "svg", "ico"],
)
def test_what_is_no_picture_is_18003(data: bytes) -> None:
    with pytest.raises(LunaError) as caught:
        read(data)
    assert caught.value.code == 18003
    assert caught.value.status == 400


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (0, 0)])
def test_a_picture_without_pixels_is_18003(size: tuple[int, int]) -> None:
    with pytest.raises(LunaError) as caught:
        read(png_header(*size))
    assert caught.value.code == 18003


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60_000, 60_000), (2_001, 2_000), (40_000, 1)])
def test_too_many_pixels_are_refused_before_decoding(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("a decoder runs"))
    with pytest.raises(LunaError) as caught:
        read(png_header(*size))
    assert caught.value.code == 100012
    assert f"{size[0]}x{size[1]}" in caught.value.detail


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(LunaError) as caught:
        read(whole_jpeg() + bytes(BYTES))
    assert caught.value.code == 100012


def test_exif_is_told_in_plain_values() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112], exif[0x0132] = "Maker", "Model\x00\n", 1, "2024:05:06 07:08:09"
    exif.get_ifd(0x8769).update({0xA404: 1.5, 0x9209: 16, 0xA420: "abc"})
    exif.get_ifd(0x8825).update({1: "S", 2: (10.0, 30.0, 0.0), 3: "E", 4: (20.0, 0.0, 36.0)})
    assert read_exif(read(saved(RGB, "JPEG", exif=exif)).exif) == {
        "make": "Maker",
        "model": "Model",
        "orientation": 1,
        "dateTime": "2024:05:06 07:08:09",
        "digitalZoomRatio": 1.5,
        "flash": 16,
        "uid": "abc",
        "latitude": -10.5,
        "longitude": 20.01,
    }


@pytest.mark.parametrize(
    "latitude", [(10.0, 30.0), "10", (1.0, 2.0, float("nan")), (TiffImagePlugin.IFDRational(1, 0), 0.0, 0.0)]
)
def test_a_place_that_cannot_be_read_is_not_told(latitude: object) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update({1: "N", 2: latitude, 3: "E", 4: (20.0, 0.0, 36.0)})
    assert read_exif(exif) == {"longitude": 20.01}


def test_text_that_is_kept_as_bytes_is_told_as_far_as_it_is_text() -> None:
    exif = Image.Exif()
    exif[0x0131] = b"soft\xff\x00ware"
    assert read_exif(exif) == {"software": "software"}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("tail", [b"", b"no TIFF", b"XX*\x00\x00\x00\x00\x08", b"II*\x00\xff\xff\xff\xff"])
def test_damaged_exif_costs_no_picture(kind: str, tail: bytes) -> None:
    result = read(saved(RGB, kind, exif=b"Exif\x00\x00" + tail))
    assert result.pixels.shape == (40, 60, 3)
    assert read_exif(result.exif) == {}


def test_a_picture_without_exif_tells_nothing() -> None:
    assert read_exif(read(whole_jpeg()).exif) == {}


@pytest.mark.parametrize("kind", ["JPEG2000", "AVIF", "HEIF"])
def test_newer_formats(kind: str) -> None:
    result = read(saved_heif(RGB) if kind == "HEIF" else saved(RGB, kind))
    assert result.format == kind
    assert np.abs(result.pixels.astype(int) - gradient()).mean() <= 6


def test_avif_is_turned_by_its_orientation() -> None:
    exif = Image.Exif()
    exif.load(ORIENTED.tobytes())  # Pillow removes the orientation from the given EXIF
    result = read(saved(RGB, "AVIF", exif=exif))
    assert result.pixels.shape == (60, 40, 3)
    assert np.abs(result.pixels.astype(int) - np.rot90(gradient(), k=-1)).mean() < 8


def test_heif_is_turned_by_its_own_property_and_not_by_exif() -> None:
    turned = RGB.copy()
    turned.info["exif"] = ORIENTED.tobytes()
    data = saved_heif(turned)  # pillow-heif turns the pixels by a quarter, and asks for another quarter
    assert b"irot\x03" in data
    for use_exif in (True, False):
        pixels = read(data, use_exif=use_exif).pixels.astype(int)
        assert np.abs(pixels - np.rot90(gradient(), k=2)).mean() < 8


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_that_lacks_its_end_marker_alone_is_decoded(mode: str, options: dict[str, object]) -> None:
    data = saved(RGB.convert(mode), "JPEG", **options)
    assert data.endswith(b"\xff\xd9")
    np.testing.assert_array_equal(read(data[:-2]).pixels, read(data).pixels)
    np.testing.assert_array_equal(read(data[:-1]).pixels, read(data).pixels)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_lacks_pixels_is_refused(mode: str) -> None:
    noise = Image.effect_noise((320, 240), 60).convert(mode)
    data = saved(noise, "JPEG")
    for missing in (8, 40, len(data) // 2):
        with pytest.raises(LunaError) as caught:
            read(data[:-missing])
        assert caught.value.code == 18003


@pytest.mark.parametrize("stray", [b"\r\n", b"\0" * 100, b"Content-Type: image/jpeg\r\n\r\n", b"x" * 4096])
def test_stray_bytes_before_a_jpeg_are_skipped(stray: bytes) -> None:
    data = saved(RGB, "JPEG")
    np.testing.assert_array_equal(read(stray + data).pixels, read(data).pixels)
    np.testing.assert_array_equal(read(stray + data[:-2]).pixels, read(data).pixels)


def test_too_many_stray_bytes_are_no_picture() -> None:
    with pytest.raises(LunaError) as caught:
        read(b"x" * 5000 + saved(RGB, "JPEG"))
    assert caught.value.code == 18003
