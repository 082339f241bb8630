"""HEIF files that tests put together box by box: grids of tiles whose boxes may state anything."""

import functools
import io
import struct

import numpy as np
import pillow_heif
from PIL import Image

TILE_PX = 64


def saved_heif(picture: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out, **options)
    return out.getvalue()


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full_box(kind: bytes, version: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24), *parts)


@functools.cache
def _tile() -> tuple[bytes, bytes]:
    """The box `hvcC` and the coded data of one tile of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (TILE_PX, TILE_PX, 3), np.uint8)
    data = saved_heif(Image.fromarray(noise), quality=50)
    settings, coded = data.index(b"hvcC") - 4, data.index(b"mdat") - 4
    (settings_bytes,), (coded_bytes,) = (struct.unpack_from(">I", data, place) for place in (settings, coded))
    return data[settings : settings + settings_bytes], data[coded + 8 : coded + coded_bytes]


def grid(
    rows: int, columns: int, canvas: tuple[int, int], *, stated: tuple[int, int] | None = None,
    tile: tuple[int, int] = (TILE_PX, TILE_PX),
) -> bytes:  # fmt: skip
    """A grid of equal tiles. `canvas`: width and height in the grid's own data; `stated`: in its box `ispe`, if others;
    `tile`: what the tiles' box states.
    """
    settings, coded = _tile()
    tiles = range(2, 2 + rows * columns)

    def entry(item: int, kind: bytes) -> bytes:
        return full_box(b"infe", 2, struct.pack(">HH4s", item, 0, kind), b"\0")

    items = full_box(
        b"iinf", 0, struct.pack(">H", len(tiles) + 1), entry(1, b"grid"), *(entry(item, b"hvc1") for item in tiles)
    )
    made_of = struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *tiles)
    extents = [full_box(b"ispe", 0, struct.pack(">II", *size)) for size in (tile, stated or canvas)]
    links = [struct.pack(">HBBB", item, 2, 0x81, 2) for item in tiles]
    properties = box(
        b"iprp",
        box(b"ipco", settings, *extents),
        full_box(b"ipma", 0, struct.pack(">I", len(tiles) + 1), struct.pack(">HBB", 1, 1, 3), *links),
    )
    layout = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, *canvas)
    head = box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(place: int) -> bytes:
        places = [struct.pack(">HHHHII", item, 0, 0, 1, place, len(coded)) for item in tiles]
        return full_box(
            b"meta", 0,
            full_box(b"hdlr", 0, b"\0\0\0\0pict", b"\0" * 13),
            full_box(b"pitm", 0, struct.pack(">H", 1)),
            items,
            full_box(b"iref", 0, box(b"dimg", made_of)),
            properties,
            box(b"idat", layout),
            full_box(
                b"iloc", 1, b"\x44\x00", struct.pack(">H", len(tiles) + 1),
                struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(layout)), *places,
            ),
        )  # fmt: skip

    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", coded)
