"""The number of pixels that a HEIF or AVIF file declares, read before a library decodes the file.

A file declares sizes in several places, and decoders allocate memory by each of them: the extent of an item (`ispe`),
the canvas of a grid of tiles, and the sequence headers of AV1 data. `asked_pixels` reads all of them. Formats:
ISO/IEC 14496-12 (boxes), ISO/IEC 23008-12 (HEIF), AV1 Bitstream Specification (5.5, sequence headers).
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

MAX_BOXES = 20_000
MAX_ITEMS = 2_000  # a photograph of 48 million pixels has 220 tiles
MAX_PARTS = 4_000  # extents of all items; cameras write one extent per item
MAX_READ = 4  # bytes that are read of items per byte of the file: extents may overlap
MAX_UNITS = 20_000  # open bitstream units of all AV1 items
PARENTS = {b"meta": 4, b"iprp": 0, b"ipco": 0}  # bytes of content before the children
BRANDS = {b"avis": b"avif", b"msf1": b"mif1", b"hevc": b"heic", b"hevx": b"heix"}  # sequences → pictures
METADATA_ITEMS = frozenset({b"Exif", b"mime", b"uri "})
SEQUENCE_HEADER = 1
IN_ITEM_STORE = 1  # construction method: data in the box `idat`


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its type and its offsets in the file (start of the box, start and end of its content)."""

    kind: bytes
    head: int
    start: int
    end: int


def is_container(data: bytes) -> bool:
    """Return whether the file consists of boxes, as HEIF and AVIF do."""
    return data[4:8] == b"ftyp"


def still(data: bytes) -> bytes:
    """Return the file without tracks and their brands, so that a sequence yields its primary picture."""
    boxes = list(_boxes(data, parents={}))
    tracks = next((box for box in boxes if box.kind == b"moov"), None)
    if tracks is None:
        return data
    brands = data[: boxes[0].end]
    for sequence, picture in BRANDS.items():
        brands = brands.replace(sequence, picture)
    return brands + data[boxes[0].end : tracks.head + 4] + b"free" + data[tracks.head + 8 :]


def asked_pixels(data: bytes) -> int:
    """Return the total pixels of all items; per item, the largest number that its boxes or coded data declare.

    Raises ValueError for too many boxes or items, and for damaged ones.
    """
    try:
        pixels: dict[int, int] = {}
        for item, asked in _items(data):
            pixels[item] = max(asked, pixels.get(item, 0))
        return sum(pixels.values())
    except (struct.error, IndexError) as error:
        raise ValueError("a box is damaged") from error


def _items(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield an item's number and declared pixels for each of its declarations."""
    boxes = list(_boxes(data, parents=PARENTS))
    found = {box.kind: box for box in reversed(boxes)}  # the first of each kind
    kinds = _kinds(data, found[b"iinf"]) if b"iinf" in found else {}
    extents = _extents(data, boxes)
    if b"ipma" in found:
        for item, properties in _properties(data, found[b"ipma"]):
            yield item, max((extents.get(index, 0) for index in properties), default=0)
    store = found[b"idat"].start if b"idat" in found else 0
    units = iter(range(MAX_UNITS))
    left = MAX_READ * len(data)
    if b"iloc" in found:
        for item, places in _places(data, found[b"iloc"], store):
            if (pixels := PIXELS.get(kinds.get(item, b""))) is not None:
                left -= sum(max(0, end - start) for start, end in places)
                if left < 0:
                    raise ValueError("the items repeat the file")
                yield item, pixels(b"".join(data[start:end] for start, end in places), units)


def _boxes(data: bytes, *, parents: Mapping[bytes, int]) -> Iterator[Box]:
    """Yield all boxes, parents before children, siblings in file order."""
    waiting = [(0, len(data))]
    count = 0
    while waiting:
        place, end = waiting.pop()
        while place + 8 <= end:
            count += 1
            if count > MAX_BOXES:
                raise ValueError(f"more than {MAX_BOXES} boxes")
            size, kind = struct.unpack_from(">I4s", data, place)
            head = 8
            if size == 1:
                (size,) = struct.unpack_from(">Q", data, place + 8)
                head = 16
            elif size == 0:
                size = end - place
            if size < head or place + size > end:
                raise ValueError("a box exceeds its parent")
            yield Box(kind, place, place + head, place + size)
            if kind in parents:
                waiting.append((place + head + parents[kind], place + size))
            place += size


def _kinds(data: bytes, box: Box) -> dict[int, bytes]:
    """Return the type of each item from the box `iinf`."""
    short = data[box.start] == 0
    (count,) = struct.unpack_from(">H" if short else ">I", data, box.start + 4)
    if count > MAX_ITEMS:
        raise ValueError(f"{count} items, at most {MAX_ITEMS} are accepted")
    kinds, place = {}, box.start + (6 if short else 8)
    for _ in range(count):
        size, _, version = struct.unpack_from(">I4sB", data, place)
        item, _, kind = struct.unpack_from(">IH4s" if version >= 3 else ">HH4s", data, place + 12)
        kinds[item] = kind
        place += max(size, 8)
    return kinds


def _extents(data: bytes, boxes: list[Box]) -> dict[int, int]:
    """Return the pixels of each `ispe`, by its property number (from 1)."""
    whole = next((box for box in boxes if box.kind == b"ipco"), None)
    if whole is None:
        return {}
    inside = [box for box in boxes if whole.start < box.start and box.end <= whole.end]
    extents = {}
    for number, box in enumerate(inside, 1):
        if box.kind == b"ispe":
            width, height = struct.unpack_from(">II", data, box.start + 4)
            extents[number] = width * height
    return extents


def _properties(data: bytes, box: Box) -> Iterator[tuple[int, list[int]]]:
    """Yield each item's number and its property numbers from the box `ipma`."""
    wide_items, wide_numbers = data[box.start] >= 1, data[box.start + 3] & 1
    (count,) = struct.unpack_from(">I", data, box.start + 4)
    if count > MAX_ITEMS:
        raise ValueError(f"{count} items, at most {MAX_ITEMS} are accepted")
    place, size = box.start + 8, 2 if wide_numbers else 1
    for _ in range(count):
        item, place = _number(data, place, 4 if wide_items else 2)
        associations, place = _number(data, place, 1)
        numbers = []
        for _ in range(associations):
            number, place = _number(data, place, size)
            numbers.append(number & (0x7FFF if wide_numbers else 0x7F))  # the highest bit marks essential properties
        yield item, numbers


def metadata_places(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each extent of the items that are no pictures: `Exif`, `mime` (XMP) and `uri `.

    Raises ValueError for a damaged file.
    """
    try:
        boxes = list(_boxes(data, parents=PARENTS))
        found = {box.kind: box for box in reversed(boxes)}
        if b"iinf" not in found or b"iloc" not in found:
            return
        kinds = _kinds(data, found[b"iinf"])
        store = found[b"idat"].start if b"idat" in found else 0
        for item, extents in _places(data, found[b"iloc"], store):
            if (kind := kinds.get(item, b"")) in METADATA_ITEMS:
                yield from ((kind, start, end) for start, end in extents)
    except (struct.error, IndexError) as error:
        raise ValueError("a box is damaged") from error


def top_boxes(data: bytes) -> Iterator[Box]:
    """Yield the boxes of the file and of `moov` and `meta`. Raises ValueError for a damaged file."""
    try:
        yield from _boxes(data, parents={b"meta": 4, b"moov": 0, b"trak": 0})
    except struct.error as error:
        raise ValueError("a box is damaged") from error


def _places(data: bytes, box: Box, store: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield each item's number, and start and end of its parts in the file, from the box `iloc`.

    Raises ValueError for too many items or parts. Parts may overlap.
    """
    version, sizes, more = data[box.start], data[box.start + 4], data[box.start + 5]
    offset_bytes, length_bytes, base_bytes, index_bytes = sizes >> 4, sizes & 15, more >> 4, more & 15
    wide = 4 if version == 2 else 2
    count, place = _number(data, box.start + 6, wide)
    if count > MAX_ITEMS:
        raise ValueError(f"{count} items, at most {MAX_ITEMS} are accepted")
    all_parts = 0
    for _ in range(count):
        item, place = _number(data, place, wide)
        method, place = _number(data, place, 2 if version else 0)
        base, place = _number(data, place + 2, base_bytes)
        parts, place = _number(data, place, 2)
        all_parts += parts
        if all_parts > MAX_PARTS:
            raise ValueError(f"more than {MAX_PARTS} parts of items")
        places = []
        for _ in range(parts):
            offset, place = _number(data, place + (index_bytes if version else 0), offset_bytes)
            length, place = _number(data, place, length_bytes)
            start = base + offset + (store if method & 15 == IN_ITEM_STORE else 0)
            places.append((start, min(start + length, len(data)) if length else len(data)))
        yield item, places


def _grid_pixels(content: bytes, units: Iterator[int]) -> int:
    """Return the pixels of a grid: version, flags, rows − 1, columns − 1, width, height."""
    width, height = struct.unpack_from(">II" if content[1] & 1 else ">HH", content, 4)
    return int(width * height)


def _overlay_pixels(content: bytes, units: Iterator[int]) -> int:
    """Return the pixels of an overlay: version, flags, four 16-bit colours, width, height."""
    width, height = struct.unpack_from(">II" if content[1] & 1 else ">HH", content, 10)
    return int(width * height)


def _av1_pixels(content: bytes, units: Iterator[int]) -> int:
    """Return the pixels of the largest frame that a sequence header of AV1 data declares.

    Each unit takes one of `units`, which the items of a file share.
    """
    largest, place = 0, 0
    for _ in units:
        if place >= len(content):
            return largest
        header = content[place]
        kind, extended, sized = header >> 3 & 15, header >> 2 & 1, header >> 1 & 1
        place += 1 + extended
        size, place = _leb128(content, place) if sized else (len(content) - place, place)
        if kind == SEQUENCE_HEADER:
            largest = max(largest, _frame_pixels(content[place : place + size]))
        place += size
    raise ValueError(f"more than {MAX_UNITS} units of AV1 data")


def _leb128(content: bytes, place: int) -> tuple[int, int]:
    """Read a LEB128 number (seven bits per byte, lowest first); return it and the offset after it."""
    value = 0
    for index in range(8):
        value |= (content[place + index] & 127) << 7 * index
        if content[place + index] < 128:
            return value, place + index + 1
    raise ValueError("a number of AV1 data is too long")


class _Bits:
    """Reads numbers of any bit length, highest bit first."""

    def __init__(self, content: bytes) -> None:
        self.value, self.left = int.from_bytes(content), 8 * len(content)

    def take(self, count: int) -> int:
        self.left -= count
        if self.left < 0:
            raise IndexError
        return self.value >> self.left & ((1 << count) - 1)

    def skip_uvlc(self) -> None:
        zeros = 0
        while not self.take(1):
            zeros += 1
        self.take(zeros)


def _frame_pixels(header: bytes) -> int:
    """Return width × height of a sequence header; they follow levels and timing."""
    bits = _Bits(header[:1024])
    bits.take(4)  # profile, still picture
    if bits.take(1):  # the short form of still pictures
        bits.take(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return (bits.take(width_bits) + 1) * (bits.take(height_bits) + 1)


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):
            bits.skip_uvlc()
        if bits.take(1):  # a decoder model
            delay_bits = bits.take(5) + 1
            bits.take(42)
    has_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if has_delay and bits.take(1):
            bits.take(4)


def _number(data: bytes, place: int, size: int) -> tuple[int, int]:
    """Read a number of `size` bytes; return it and the offset after it."""
    if place + size > len(data):
        raise IndexError
    return int.from_bytes(data[place : place + size]), place + size


PIXELS: Mapping[bytes, Callable[[bytes, Iterator[int]], int]] = {
    b"grid": _grid_pixels,
    b"iovl": _overlay_pixels,
    b"av01": _av1_pixels,
}
