"""Metadata is removed from pictures of every format, and no pixel changes."""

import contextlib
import io
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from apps.common.errors import LunaError
from apps.imagestore.buckets import bucket_create
from apps.imagestore.choices import Bucket
from apps.imagestore.config import ImageStore
from apps.imagestore.metadata import exif_orientation, metadata_strip, orientation_exif
from apps.imagestore.services import object_store
from tests.api.imagestore.helpers import stored
from tests.containers import box, full_box
from tests.factories import basic_client, make_account

GPS_TEXT, XMP, COMMENT = b"52.5200", b"<x:xmpmeta>secret place</x:xmpmeta>", b"secret comment"
SECRETS = (b"secret", b"Secretmaker", b"2026:01:02", b"\x0a\x1b\x2c\x3d")


def exif(orientation: int = 6) -> Image.Exif:
    """EXIF with maker, time, position and orientation."""
    found = Image.Exif()
    found[0x010F] = "Secretmaker"
    found[0x0112] = orientation
    found[0x0132] = "2026:01:02 03:04:05"
    found.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0secret comment"
    found.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return found


def pixels() -> Image.Image:
    rng = np.random.default_rng(7)
    return Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))


def saved(form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pixels().save(buffer, form, **options)
    return buffer.getvalue()


def jpeg(**options: Any) -> bytes:
    """A JPEG with EXIF, XMP, IPTC, a comment, and another picture with EXIF behind its end."""
    data = saved("JPEG", exif=exif(), comment=COMMENT, xmp=XMP, icc_profile=b"colours of a profile" * 10, **options)
    iptc = b"\xff\xed" + struct.pack(">H", 2 + 14 + 20) + b"Photoshop 3.0\0" + b"8BIM secret caption "
    return data[:2] + iptc + data[2:] + saved("JPEG", exif=exif())


def png() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "secret comment")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add_text("zipped", "secret zipped", zip=True)
    return saved("PNG", exif=exif(), pnginfo=info, dpi=(300, 300)) + b"secret tail"


def gif() -> bytes:
    data = saved("GIF", comment=COMMENT)
    xmp = b"\x21\xff\x0bXMP DataXMP" + bytes([len(XMP)]) + XMP + b"\0"
    return data[:-1] + xmp + b";secret tail"


def tiff(**options: Any) -> bytes:
    return saved("TIFF", exif=exif(), description="secret description", software="Secretmaker", **options)


def heif() -> bytes:
    """A HEIF file whose only items are metadata: enough for the parser, without an encoder."""
    content = b"\0\0\0\0" + exif().tobytes().removeprefix(b"Exif\0\0")

    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(body), kind) + body

    infe = box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 1, 0, b"Exif") + b"\0")
    infe += box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 2, 0, b"mime") + b"\0application/rdf+xml\0")
    iinf = box(b"iinf", b"\0\0\0\0" + struct.pack(">H", 2) + infe)
    start = box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def iloc(first: int) -> bytes:
        entries = struct.pack(">HHHHIIHHHII", 1, 0, 1, 0, first, len(content), 2, 0, 1, 0, 0)
        entries = struct.pack(">HHHII", 1, 0, 1, first, len(content))
        entries += struct.pack(">HHHII", 2, 0, 1, first + len(content), len(XMP))
        return box(b"iloc", b"\0\0\0\0" + b"\x44\x00" + struct.pack(">H", 2) + entries)

    def meta(first: int) -> bytes:
        return box(b"meta", b"\0\0\0\0" + iinf + iloc(first))

    head = start + meta(len(start) + len(meta(0)) + 8)
    return head + box(b"mdat", content + XMP) + box(b"uuid", b"0123456789abcdef" + b"secret place")


FILES: dict[str, Callable[[], bytes]] = {
    "jpeg": jpeg,
    "progressive jpeg": lambda: jpeg(progressive=True),
    "jpeg with restarts": lambda: jpeg(restart_marker_blocks=1),
    "jpeg behind stray bytes": lambda: b"secret" + jpeg(),
    "png": png,
    "webp": lambda: saved("WEBP", exif=exif(), xmp=XMP, lossless=True),
    "gif": gif,
    "tiff": tiff,
    "deflated tiff": lambda: tiff(compression="tiff_adobe_deflate"),
    "big tiff": lambda: tiff(big_tiff=True),
    "jpeg 2000": lambda: saved("JPEG2000") + struct.pack(">I4s", 8 + len(XMP), b"xml ") + XMP,
    "jpeg 2000 codestream": lambda: saved("JPEG2000", no_jp2=True, comment=COMMENT),
    "avif": lambda: saved("AVIF", exif=exif(), xmp=XMP),
    "ppm": lambda: b"P6\n# secret comment\n64 48\n255\n" + pixels().tobytes(),
    "bmp": lambda: saved("BMP"),
}


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data[data.find(b"\xff\xd8\xff") :] if data.startswith(b"secret") else data))


@pytest.mark.parametrize("name", FILES)
def test_metadata_goes_and_pixels_stay(name: str) -> None:
    data = FILES[name]()
    stripped = metadata_strip(data)
    for secret in SECRETS:
        assert secret not in stripped
    before, after = opened(data), opened(stripped)
    assert (before.format, before.size, before.mode) == (after.format, after.size, after.mode) or "MPO" in str(before)
    assert after.getexif().get(0x0112, 1) == before.getexif().get(0x0112, 1)
    assert not after.getexif().get_ifd(0x8825)
    assert not set(after.getexif()) & {0x010F, 0x0132}
    upright = [np.asarray(ImageOps.exif_transpose(each).convert("RGB")) for each in (before, after)]
    assert np.array_equal(upright[0], upright[1])
    assert after.info.get("icc_profile") == before.info.get("icc_profile")
    assert metadata_strip(stripped) == stripped


def test_heif_items_and_boxes_are_overwritten_in_place() -> None:
    data = heif()
    stripped = metadata_strip(data)
    assert len(stripped) == len(data)
    for secret in SECRETS:
        assert secret in data or secret == SECRETS[3]
        assert secret not in stripped
    assert b"II*\0\x08\0\0\0\0\0" in stripped  # readers of the item find an empty directory


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_read_as_they_are_written(orientation: int) -> None:
    assert exif_orientation(orientation_exif(orientation)) == orientation
    assert exif_orientation(exif(orientation).tobytes().removeprefix(b"Exif\0\0")) == orientation


@pytest.mark.parametrize("tiff", [b"", b"II*\0", b"MM\0*\0\0\0\xff", b"II*\0\x08\0\0\0\xff\xff", b"no tiff at all"])
def test_a_damaged_orientation_is_none(tiff: bytes) -> None:
    assert exif_orientation(tiff) == 1


def test_an_animation_keeps_its_frames() -> None:
    frames = [pixels(), ImageOps.mirror(pixels())]
    for form in ("GIF", "PNG", "WEBP"):
        buffer = io.BytesIO()
        options: dict[str, Any] = {} if form == "GIF" else {"exif": exif()}
        frames[0].save(buffer, form, save_all=True, append_images=frames[1:], duration=100, loop=3, **options)
        after = Image.open(io.BytesIO(metadata_strip(buffer.getvalue())))
        assert (after.n_frames, after.info["loop"]) == (2, 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_end_in_a_value_error_or_in_a_file(name: str) -> None:
    data = FILES[name]()
    rng = np.random.default_rng(1)
    for _ in range(150):
        broken = bytearray(data[: int(rng.integers(len(data)))] if rng.random() < 0.3 else data)
        for _ in range(int(rng.integers(1, 8))):
            if broken:
                broken[int(rng.integers(min(len(broken), 600)))] = int(rng.integers(256))
        with contextlib.suppress(ValueError):
            metadata_strip(bytes(broken))


def overlapping_values(entries: int) -> bytes:
    """A TIFF whose private tags all have the rest of the file as their value."""
    size = 400_000
    tags = b"".join(struct.pack("<HHII", 40_000, 1, size, 8) for _ in range(entries))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + tags + bytes(4)).ljust(size, b"x")


def overlapping_items(content: bytes) -> bytes:
    """A HEIF whose item with EXIF has 2,000 parts, all from the content to the end of the file."""

    def declared(start: int) -> bytes:
        entry = full_box(b"infe", 2, struct.pack(">HH4sx", 1, 0, b"Exif"))
        store = full_box(b"iloc", 0, b"\0\x40", struct.pack(">HHHIH", 1, 1, 0, start, 2000))
        return box(b"ftyp", b"heic") + full_box(b"meta", 0, full_box(b"iinf", 0, struct.pack(">H", 1), entry), store)

    return declared(len(declared(0)) + 8) + box(b"mdat", content)


def overlapping_directories() -> bytes:
    """A TIFF whose directories start two bytes apart and have 65,535 entries each."""
    pages = struct.pack("<HHII", 330, 4, 900, 30) + bytes(4)
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + pages
    return head.ljust(30, b"\0") + struct.pack("<900I", *range(4000, 5800, 2)) + b"\xff" * 1_000_000


EXPENSIVE = {
    "padding": jpeg()[:-2] + b"\xff" * 1_000_000 + b"\0",
    "segments": b"\xff\xd8" + b"\xff\xe1\0\x02" * 1_000_000,
    "kept segments": b"\xff\xd8" + b"\xff\xc4\0\x02" * 1_000_000,
    "values": overlapping_values(30_000),
    "directories": overlapping_directories(),
    "items": overlapping_items(bytes(30_000_000)),
}


@pytest.mark.parametrize("name", EXPENSIVE)
def test_the_cost_is_linear_in_the_size_of_the_file(name: str) -> None:
    """A quadratic search takes minutes to hours on each of these files."""
    started_s = time.thread_time()
    with contextlib.suppress(ValueError):
        metadata_strip(EXPENSIVE[name])
    assert time.thread_time() - started_s < 30


def test_overlapping_values_are_all_cleared() -> None:
    assert b"x" not in metadata_strip(overlapping_values(50))
    assert b"secret" not in metadata_strip(overlapping_items(b"secret" * 100))


def test_the_thumbnail_of_jfif_goes() -> None:
    data = saved("JPEG")
    assert data[2:4] == b"\xff\xe0"
    thumbnail = b"secret" * 2  # 2 × 2 pixels
    content = data[6:18] + b"\2\2" + thumbnail
    (size,) = struct.unpack_from(">H", data, 4)
    with_thumbnail = data[:4] + struct.pack(">H", 2 + len(content)) + content + data[4 + size :]
    assert metadata_strip(with_thumbnail) == metadata_strip(data)


def test_frames_of_webp_keep_only_their_pixels() -> None:
    buffer = io.BytesIO()
    pixels().save(buffer, "WEBP", save_all=True, append_images=[pixels().rotate(90)])
    data = buffer.getvalue()
    place = data.index(b"ANMF")
    (size,) = struct.unpack_from("<I", data, place + 4)
    hidden = b"XMP " + struct.pack("<I", len(COMMENT)) + COMMENT
    changed = data[: place + 4] + struct.pack("<I", size + len(hidden)) + data[place + 8 : place + 8 + size] + hidden
    changed += data[place + 8 + size :]
    changed = changed[:4] + struct.pack("<I", len(changed) - 8) + changed[8:]
    assert metadata_strip(changed) == metadata_strip(data)
    np.testing.assert_array_equal(np.asarray(opened(metadata_strip(changed))), np.asarray(opened(data)))


@pytest.mark.parametrize("kind", [b"free", b"skip"])
def test_unused_boxes_are_cleared(kind: bytes) -> None:
    data = heif()
    assert metadata_strip(data + box(kind, COMMENT)) == metadata_strip(data) + box(b"free", bytes(len(COMMENT)))


def test_padding_before_segments_is_removed() -> None:
    data = jpeg()
    padded = data[:2] + b"\xff" * 5 + data[2:]
    assert metadata_strip(padded) == metadata_strip(data)


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"%PDF-1.7 secret", b"RIFF\0\0\0\0WAVE"])
def test_other_data_is_left_alone(data: bytes) -> None:
    assert metadata_strip(data) == data


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/6/images", "/1/buckets/people/images", "/6/samples/faces"])
def test_every_way_to_store_a_picture(path: str, configure: Callable[..., None], store_dir: object) -> None:
    account = make_account()
    client = basic_client(account)
    bucket_create(name="people")
    buffer = io.BytesIO()
    Image.effect_noise((250, 250), 64).convert("RGB").save(buffer, "JPEG", exif=exif(), xmp=XMP)
    for strip in (False, True):
        configure(ImageStore, strip_metadata=strip)
        key = stored(client, path, buffer.getvalue())
        kept = client.get(f"{path}/{key}")
        content = b"".join(kept)
        assert (b"Secretmaker" in content) is not strip
        assert Image.open(io.BytesIO(content)).getexif()[0x0112] == 6
        assert kept.headers["Content-Length"] == str(len(content))


@pytest.mark.django_db
def test_a_picture_whose_metadata_cannot_be_found_is_refused(configure: Callable[..., None], store_dir: object) -> None:
    configure(ImageStore, strip_metadata=True)
    with pytest.raises(LunaError, match="cannot be removed"):
        object_store(bucket=Bucket.IMAGES, account_id=make_account().pk, data=tiff()[:60], content_type="image/tiff")
    whole = object_store(bucket=Bucket.OBJECTS, account_id=make_account().pk, data=jpeg(), content_type="image/jpeg")
    assert whole.size_bytes == len(jpeg())  # an object is stored as it is sent
