"""HEIF and AVIF: the cost of a file is computed before it is decoded."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from apps.common import errors
from apps.common.containers import MAX_BOXES, MAX_ITEMS, MAX_UNITS, asked_pixels, is_container, metadata_places, still
from apps.common.errors import LunaError
from apps.common.pictures import decoding, open_picture
from tests.containers import box, full_box, grid, saved_heif

FORMATS = ("HEIF", "AVIF")
MAX_PIXELS = 200_000


def avif(*pictures: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    more = {"save_all": True, "append_images": list(pictures[1:])} if len(pictures) > 1 else {}
    pictures[0].save(out, "AVIF", **more, **options)
    return out.getvalue()


def with_sizes(data: bytes, size: tuple[int, int], stated: tuple[int, int]) -> bytes:
    """The file with another size in its boxes `ispe`."""
    changed = data.replace(struct.pack(">II", *size), struct.pack(">II", *stated))
    assert changed != data
    return changed


def test_plain_pictures_ask_for_their_pixels() -> None:
    picture = Image.new("RGB", (320, 200))
    assert asked_pixels(saved_heif(picture)) == 320 * 200
    assert asked_pixels(avif(picture)) == 320 * 200
    assert asked_pixels(avif(picture.convert("RGBA"))) in (320 * 200, 2 * 320 * 200)  # transparency is an item, too


def test_a_grid_asks_for_its_canvas_and_its_tiles() -> None:
    data = grid(2, 3, (192, 128))
    assert asked_pixels(data) == 2 * 192 * 128
    picture = open_picture(data, FORMATS)
    assert (picture.format, picture.size) == ("HEIF", (192, 128))
    with decoding(picture, data, max_pixels=MAX_PIXELS):
        picture.load()
    assert np.asarray(picture).std() > 20  # the tiles' noise


@pytest.mark.parametrize(
    "data",
    [
        grid(2, 3, (20_000, 20_000), stated=(192, 128)),
        grid(16, 16, (1024, 1024), stated=(64, 64)),
        grid(2, 3, (192, 128), tile=(5000, 5000)),
        with_sizes(avif(Image.new("RGB", (4096, 4096)), speed=10), (4096, 4096), (64, 64)),
        with_sizes(avif(*[Image.new("RGB", (4096, 4096))] * 2, speed=10), (4096, 4096), (64, 64)),
    ],
    ids=["canvas", "covered canvas", "large tiles", "avif", "avif sequence"],
)
def test_a_file_that_asks_for_more_than_it_shows_is_refused_before_it_is_decoded(data: bytes) -> None:
    picture = open_picture(data, FORMATS)
    assert picture.width * picture.height <= MAX_PIXELS
    with (
        pytest.raises(LunaError, match="pixels in all items") as caught,
        decoding(picture, data, max_pixels=MAX_PIXELS),
    ):
        pytest.fail("decoded")
    assert caught.value.code == errors.INVALID_IMAGE_SIZE


def test_many_items_and_boxes_are_refused_before_they_are_opened() -> None:
    with pytest.raises(ValueError, match=rf"{MAX_ITEMS + 1} items"):
        open_picture(grid(MAX_ITEMS // 40, 40, (64, 64)), FORMATS)
    with pytest.raises(ValueError, match="boxes"):
        asked_pixels(box(b"ftyp", b"heic") + box(b"free") * MAX_BOXES)


def parts_of_the_file(kind: bytes, *, items: int, parts: int, content: bytes) -> bytes:
    """A file with the same item again and again, whose parts all last from the content to the end of the file."""

    def declared(start: int) -> bytes:
        entry = full_box(b"infe", 2, struct.pack(">HH4sx", 1, 0, kind))
        place = struct.pack(">HHIH", 1, 0, start, parts)  # item, reference, base, number of parts without offsets
        store = full_box(b"iloc", 0, b"\0\x40", struct.pack(">H", items), place * items)
        return box(b"ftyp", b"heic") + full_box(b"meta", 0, full_box(b"iinf", 0, struct.pack(">H", 1), entry), store)

    start = len(declared(0)) + 8
    return declared(start) + box(b"mdat", content)


@pytest.mark.parametrize(
    ("kind", "items", "parts"),
    [(b"av01", 1, 2000), (b"grid", MAX_ITEMS, 2), (b"iovl", 5, 1), (b"hvc1", MAX_ITEMS, MAX_ITEMS)],
)
def test_a_file_that_repeats_itself_is_refused_before_it_is_copied(kind: bytes, items: int, parts: int) -> None:
    data = parts_of_the_file(kind, items=items, parts=parts, content=bytes(100_000))
    with pytest.raises(ValueError, match=r"parts of items|repeat the file"):
        asked_pixels(data)


def test_metadata_in_many_parts_is_refused() -> None:
    data = parts_of_the_file(b"Exif", items=MAX_ITEMS, parts=MAX_ITEMS, content=bytes(100_000))
    with pytest.raises(ValueError, match="parts of items"):
        list(metadata_places(data))


def test_the_units_of_all_items_are_counted() -> None:
    units = b"\x12\0" * 1000  # temporal delimiters
    assert asked_pixels(parts_of_the_file(b"av01", items=1, parts=1, content=units)) == 0
    repeated = parts_of_the_file(b"av01", items=2 * MAX_UNITS // 1000, parts=1, content=units) + bytes(50_000)
    with pytest.raises(ValueError, match=r"units|repeat"):
        asked_pixels(repeated)


@pytest.mark.parametrize("frames", [2, 5])
def test_of_a_sequence_the_picture_that_stands_for_it_is_taken(frames: int) -> None:
    colours = ["red", "blue", "green", "white", "black"]
    data = avif(*[Image.new("RGB", (64, 48), colour) for colour in colours[:frames]])
    assert b"moov" in data
    assert b"moov" not in still(data)
    picture = open_picture(data, FORMATS)
    assert getattr(picture, "n_frames", 1) == 1
    red, _, blue = np.asarray(picture.convert("RGB")).reshape(-1, 3).mean(0)
    assert red > 200
    assert blue < 60


@pytest.mark.parametrize("data", [grid(2, 3, (192, 128)), avif(Image.new("RGB", (64, 48)))], ids=["heic", "avif"])
def test_damaged_boxes_raise_value_errors_alone(data: bytes) -> None:
    assert is_container(data)
    random = np.random.default_rng(5)
    for _ in range(400):
        changed = bytearray(data[: random.integers(12, len(data) + 1)])
        for place in random.integers(8, len(changed), 3):
            changed[place] = random.integers(256)
        try:
            assert asked_pixels(bytes(changed)) >= 0
            still(bytes(changed))
        except ValueError:
            continue
