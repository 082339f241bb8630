"""Removal of metadata from encoded pictures: EXIF with GPS, XMP, IPTC, comments, thumbnails and appended files.

Coded pixels and colour profiles keep their bytes. The EXIF orientation is kept. Formats: JPEG (ITU-T T.81, Exif 2.32),
PNG (W3C PNG 3), WebP (RFC 9649), GIF89a, TIFF 6.0 and BigTIFF, HEIF and AVIF (ISO/IEC 14496-12), JPEG 2000 (T.800).
In formats that refer to file offsets, metadata is overwritten instead of cut out. Bytes after the pixels of TIFF, BMP
and Netpbm are kept, because their length does not follow from the header alone.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from apps.common.containers import is_container, metadata_places, top_boxes
from apps.common.pictures import MAX_SEGMENTS, trimmed

ORIENTATION = 0x0112
# A TIFF structure without entries, as the content of a HEIF item: offset of the TIFF header, header, empty directory.
EMPTY_EXIF = b"\0\0\0\0" + b"II*\0\x08\0\0\0" + b"\0\0" + b"\0\0\0\0"

MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # no stuffed byte, padding or restart
SOI, EOI, SOS, COM, JFIF = 0xD8, 0xD9, 0xDA, 0xFE, 0xE0
APPLICATION = range(0xE0, 0xF0)
# Application segments that decoding needs: JFIF, colour profile, Adobe's colour transform.
KEPT_SEGMENTS = ((JFIF, b"JFIF\0"), (0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe"))
KEPT_CHUNKS = frozenset(
    b"tRNS gAMA cHRM sRGB iCCP sBIT bKGD pHYs hIST sPLT cICP mDCV cLLI acTL fcTL fdAT".split()
)  # of PNG, beside the critical ones
WEBP_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
WEBP_EXIF_FLAG, WEBP_XMP_FLAG = 0x08, 0x04
GIF_EXTENSIONS = frozenset({b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012"})
# Boxes of HEIF, AVIF and JPEG 2000 that hold metadata, or unused bytes.
METADATA_BOXES = frozenset({b"uuid", b"udta", b"xml ", b"uinf", b"asoc", b"jumb", b"mpvd", b"free", b"skip"})

# Tags of TIFF 6.0 and its supplements that decoding needs; all others are removed.
TIFF_TAGS = frozenset(
    {
        *range(254, 260), 262, 263, 264, 265, 266, 273, ORIENTATION, *range(277, 285), *range(290, 294), 296, 297, 301,
        *range(317, 326), 330, 332, *range(334, 344), 347, *range(512, 522), *range(529, 533), 34675,
    }
)  # fmt: skip
TIFF_DIRECTORIES = frozenset({0x8769, 0x8825, 0xA005})  # EXIF, GPS, interoperability: removed with their entries
SUB_IFDS = 330
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
MAX_DIRECTORIES = 1000
MAX_ENTRIES = 100_000  # of all directories: they may overlap in a file


def metadata_strip(data: bytes) -> bytes:
    """Return an encoded picture without metadata; other data is returned unchanged.

    Raises ValueError for a damaged file.
    """
    data = trimmed(data)
    strip = next((each for start, each in FORMATS.items() if data.startswith(start)), None)
    if strip is None and is_container(data):
        strip = _strip_boxes
    if strip is None:
        return data
    try:
        return strip(data)
    except (struct.error, IndexError, OverflowError) as error:
        raise ValueError("the file ends early") from error


def exif_orientation(tiff: bytes) -> int:
    """Return the orientation (1 to 8) in the first directory of a TIFF structure; 1 if it has none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        if order is None:
            return 1
        (place,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, place)
        for index in range(count):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, place + 2 + 12 * index)
            if (tag, kind) == (ORIENTATION, 3):
                (value,) = struct.unpack_from(f"{order}H", tiff, place + 10 + 12 * index)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def orientation_exif(orientation: int) -> bytes:
    """Return a TIFF structure whose only entry is the orientation."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, ORIENTATION, 3, 1, orientation, 0, 0)


def _strip_jpeg(data: bytes) -> bytes:
    """Keep the segments that decoding needs, and end after the first picture: others follow it (MPF, motion photos)."""
    kept: list[bytes] = []
    orientation = 1
    place = 2
    segments = 0
    while found := MARKER.search(data, place):
        segments += 1
        if segments > MAX_SEGMENTS:
            raise ValueError(f"more than {MAX_SEGMENTS} segments")
        if coded := data[place : found.start()].rstrip(b"\xff"):  # without padding
            kept.append(coded)
        marker, start = found[1][0], found.end()
        if marker == EOI:
            kept.append(b"\xff\xd9")
            place = len(data)
            break
        if marker in (SOI, 0x01):
            place = start
            continue
        end = start + int.from_bytes(data[start : start + 2])
        content = data[start + 2 : end]
        if marker == 0xE1 and content.startswith(b"Exif\0\0"):
            orientation = exif_orientation(content[6:]) if orientation == 1 else orientation
        needed = any(marker == each and content.startswith(name) for each, name in KEPT_SEGMENTS)
        if needed and marker == JFIF:
            kept.append(_jfif(content))
        elif needed or (marker not in APPLICATION and marker != COM):
            kept.append(b"\xff" + bytes([marker]) + data[start:end])
        place = end
    kept.append(data[place:])  # a picture without end marker
    if orientation != 1:
        content = b"Exif\0\0" + orientation_exif(orientation)
        after = 1 if kept[0].startswith(b"\xff\xe0") else 0  # JFIF demands to be the first segment
        kept.insert(after, b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content)
    return b"\xff\xd8" + b"".join(kept)


def _jfif(content: bytes) -> bytes:
    """Return the JFIF segment without its thumbnail: version, unit, densities, and a thumbnail of 0×0 pixels."""
    head = content[:12].ljust(12, b"\0") + b"\0\0"
    return b"\xff\xe0" + struct.pack(">H", 2 + len(head)) + head


def _strip_png(data: bytes) -> bytes:
    """Keep critical chunks and those that change colours or animate; write the orientation before the pixels."""
    kept = [data[:8]]
    orientation = 1
    place = 8
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        whole = data[place : place + 12 + size]
        if kind == b"eXIf":
            orientation = exif_orientation(whole[8:-4])
        elif kind[:1].isupper() or kind in KEPT_CHUNKS:
            kept.append(whole)
        place += 12 + size
        if kind == b"IEND":
            break
    if orientation != 1:
        body = b"eXIf" + orientation_exif(orientation)
        kept.insert(2, struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
    return b"".join(kept)


def _strip_webp(data: bytes) -> bytes:
    if data[8:12] != b"WEBP":
        return data
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    chunks: list[tuple[bytes, bytes]] = []
    orientation = 1
    for kind, content in _webp_chunks(data, 12, end):
        if kind == b"EXIF":
            orientation = exif_orientation(content.removeprefix(b"Exif\0\0"))
        elif kind == b"ANMF":  # 16 bytes, and the chunks of one frame
            frame = [each for each in _webp_chunks(content, 16, len(content)) if each[0] in WEBP_CHUNKS]
            chunks.append((kind, content[:16] + _riff(frame)))
        elif kind in WEBP_CHUNKS:
            chunks.append((kind, content))
    if chunks and chunks[0][0] == b"VP8X":  # only this form may have EXIF
        flags = chunks[0][1][0] & ~(WEBP_EXIF_FLAG | WEBP_XMP_FLAG)
        if orientation != 1:
            flags |= WEBP_EXIF_FLAG
            chunks.append((b"EXIF", orientation_exif(orientation)))
        chunks[0] = (b"VP8X", bytes([flags]) + chunks[0][1][1:])
    body = _riff(chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _webp_chunks(data: bytes, place: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while place + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, place)
        yield kind, data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _riff(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2) for kind, content in chunks
    )


def _strip_gif(data: bytes) -> bytes:
    place = 13 + _gif_table_bytes(data[10])
    kept = [data[:place]]
    while place < len(data):
        start, kind = place, data[place]
        if kind == 0x21:  # an extension
            label, name = data[place + 1], data[place + 3 : place + 14]
            place = _gif_blocks_end(data, place + 2)
            if label == 0xFE or (label == 0xFF and name not in GIF_EXTENSIONS):
                continue
        elif kind == 0x2C:  # an image: descriptor, colours, code size, data
            place = _gif_blocks_end(data, place + 11 + _gif_table_bytes(data[place + 9]))
        else:  # the end
            kept.append(data[place : place + 1])
            break
        kept.append(data[start:place])
    return b"".join(kept)


def _gif_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_blocks_end(data: bytes, place: int) -> int:
    while size := data[place]:
        place += 1 + size
    return place + 1


def _strip_tiff(data: bytes) -> bytes:
    """Remove entries from the directories in place, and overwrite their values with zeros."""
    file = bytearray(data)
    for start, end in _merged(_Tiff(file).strip()):
        file[start:end] = bytes(end - start)
    return bytes(file)


def _merged(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield each byte of places (start, end) that may overlap once, in order."""
    done = 0
    for start, end in sorted(places):
        start = max(start, done)
        if start < end:
            yield start, end
            done = end


class _Tiff:
    """The directories of a TIFF or BigTIFF."""

    def __init__(self, file: bytearray) -> None:
        self.file = file
        self.order = "<" if file[:2] == b"II" else ">"
        self.big = struct.unpack_from(f"{self.order}H", file, 2) == (43,)
        self.offset, self.count_form = ("Q", "Q") if self.big else ("I", "H")
        self.entry_bytes = 20 if self.big else 12
        self.inline_bytes = 8 if self.big else 4
        self.seen: set[int] = set()
        self.entries_read = 0

    def number(self, form: str, place: int) -> int:
        return int(struct.unpack_from(self.order + form, self.file, place)[0])

    def strip(self) -> Iterator[tuple[int, int]]:
        """Rewrite the directories of all pages; yield the places of removed values."""
        waiting = [self.number(self.offset, 8 if self.big else 4)]
        while waiting:
            place = waiting.pop()
            if not place or place in self.seen:
                continue
            self.seen.add(place)
            if len(self.seen) > MAX_DIRECTORIES:
                raise ValueError(f"more than {MAX_DIRECTORIES} directories")
            entries, after = self.entries(place)
            kept = [entry for entry in entries if entry[0] in TIFF_TAGS]
            for entry in entries:
                if entry[0] == SUB_IFDS:
                    waiting += self.offsets(entry)
                elif entry[0] not in TIFF_TAGS:
                    yield from self.values(entry)
            waiting.append(self.number(self.offset, after))
            self.write(place, kept, after)

    def entries(self, place: int) -> tuple[list[tuple[int, int]], int]:
        """Return tag and offset of each entry of a directory, and the offset of the next directory's address."""
        count = self.number(self.count_form, place)
        first = place + struct.calcsize(f"={self.count_form}")
        after = first + count * self.entry_bytes
        if after > len(self.file):
            raise ValueError("a directory exceeds the file")
        self.entries_read += count
        if self.entries_read > MAX_ENTRIES:
            raise ValueError(f"more than {MAX_ENTRIES} entries in directories")
        places = range(first, after, self.entry_bytes)
        return [(self.number("H", each), each) for each in places], after

    def values(self, entry: tuple[int, int]) -> Iterator[tuple[int, int]]:
        """Yield the places of an entry's values outside the directory, and those of its own directories."""
        tag, place = entry
        if tag in TIFF_DIRECTORIES:
            for directory in self.offsets(entry):
                if directory and directory not in self.seen:
                    self.seen.add(directory)
                    entries, after = self.entries(directory)
                    for each in entries:
                        yield from self.values(each)
                    yield directory, after + self.inline_bytes
        size = self.size(place)
        if size > self.inline_bytes:
            start = self.number(self.offset, place + self.entry_bytes - self.inline_bytes)
            yield start, max(start, min(start + size, len(self.file)))

    def size(self, place: int) -> int:
        """Return the bytes of an entry's values."""
        return TYPE_BYTES.get(self.number("H", place + 2), 1) * self.number(self.offset, place + 4)

    def offsets(self, entry: tuple[int, int]) -> list[int]:
        """Return the addresses of directories in an entry."""
        place = entry[1]
        form = self.offset if self.number("H", place + 2) in (16, 17, 18) else "I"
        size = self.size(place)
        start = place + self.entry_bytes - self.inline_bytes
        if size > self.inline_bytes:
            start = self.number(self.offset, start)
        step = struct.calcsize(f"={form}")
        return [self.number(form, start + index * step) for index in range(min(size // step, MAX_DIRECTORIES))]

    def write(self, place: int, kept: list[tuple[int, int]], after: int) -> None:
        """Replace a directory by one with the kept entries; zeros fill its old end."""
        entries = b"".join(bytes(self.file[each : each + self.entry_bytes]) for _, each in kept)
        following = bytes(self.file[after : after + self.inline_bytes])
        new = struct.pack(self.order + self.count_form, len(kept)) + entries + following
        end = after + self.inline_bytes
        self.file[place:end] = new + bytes(end - place - len(new))


def _strip_boxes(data: bytes) -> bytes:
    """Overwrite metadata items and boxes of HEIF, AVIF and JPEG 2000: other boxes refer to offsets in the file."""
    file = bytearray(data)
    if is_container(data):
        places = list(metadata_places(data))
        for start, end in _merged((start, end) for _, start, end in places):
            file[start:end] = bytes(end - start)
        for kind, start, end in places:
            if kind == b"Exif" and end - start >= len(EMPTY_EXIF):
                file[start : start + len(EMPTY_EXIF)] = EMPTY_EXIF
    for box in top_boxes(data):
        if box.kind in METADATA_BOXES:
            file[box.head + 4 : box.head + 8] = b"free"
            file[box.start : box.end] = bytes(box.end - box.start)
    return bytes(file)


def _strip_codestream(data: bytes) -> bytes:
    """Overwrite the comments in the main header of a JPEG 2000 codestream."""
    file = bytearray(data)
    place = 2
    while data[place] == 0xFF and data[place + 1] != 0x90:  # up to the first tile
        size = int.from_bytes(data[place + 2 : place + 4])
        if data[place + 1] == 0x64:
            file[place + 6 : place + 2 + size] = bytes(max(0, size - 4))
        place += 2 + size
    return bytes(file)


def _strip_netpbm(data: bytes) -> bytes:
    """Blank the comments in the header, which has magic, width, height and, except for bitmaps, the maximum."""
    file = bytearray(data)
    place, numbers = 2, 2 if data[1:2] in b"14" else 3
    while numbers and place < len(data):
        if data[place : place + 1] == b"#":
            end = data.find(b"\n", place)
            end = len(data) if end < 0 else end
            file[place + 1 : end] = b" " * (end - place - 1)
            place = end
        elif data[place : place + 1].isspace():
            place += 1
        else:
            while place < len(data) and not data[place : place + 1].isspace() and data[place] != 0x23:
                place += 1
            numbers -= 1
    return bytes(file)


FORMATS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\xff\xd8\xff": _strip_jpeg,
    b"\x89PNG": _strip_png,
    b"RIFF": _strip_webp,
    b"GIF8": _strip_gif,
    b"II*\0": _strip_tiff,
    b"MM\0*": _strip_tiff,
    b"II+\0": _strip_tiff,
    b"MM\0+": _strip_tiff,
    b"\0\0\0\x0cjP": _strip_boxes,
    b"\xff\x4f\xff": _strip_codestream,
    **{b"P%d" % kind: _strip_netpbm for kind in range(1, 7)},
}
