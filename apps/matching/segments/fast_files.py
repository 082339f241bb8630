"""Files of fast codes: `<segment>.fast` beside the segment, complete under this name, never changed.

The first line is a checksum and a JSON object that describes the codes, with their length and checksum; the projection
and FAISS's index follow.
"""

import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.matching.segments.fast import FastCodes
from apps.matching.segments.fast_making import Made
from apps.matching.segments.files import FAST_SUFFIX, SegmentError, reading, replaced

FAST_FORMAT = 3
MAX_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class FastDescription:
    """What the first line of a file says: its rows, shape and size, and what was measured when it was made.

    `strangers`, `known`: see `Recall`. `exact_from`: see `FastCodes`. `made_at`: seconds since 1970.
    """

    rows: int
    dimension: int
    pieces: int
    components: int
    candidates: int
    exact_from: int
    strangers: float
    known: float | None
    known_cosine: float
    made_at: float
    bytes: int
    crc: int

    @property
    def recall(self) -> str:
        """The measured recall as a part of a sentence."""
        known = "not measurable" if self.known is None else f"{self.known:.4f}"
        return f"recall {self.strangers:.4f} of strangers, {known} of known people"


def fast_path(directory: Path, segment: str) -> Path:
    return directory / f"{segment}{FAST_SUFFIX}"


def fast_write(path: Path, made: Made, *, rows: int, known_cosine: float) -> FastDescription:
    """Write the file of fast codes. Raises OSError."""
    import faiss

    projection = np.ascontiguousarray(made.fast.projection, "<f4")
    body = projection.tobytes() + faiss.serialize_index(made.fast.index).tobytes()
    described = FastDescription(
        rows=rows,
        dimension=projection.shape[1],
        pieces=made.shape.pieces,
        components=len(projection),
        candidates=made.shape.candidates,
        exact_from=made.fast.exact_from,
        strangers=made.recall.strangers,
        known=made.recall.known,
        known_cosine=known_cosine,
        made_at=time.time(),
        bytes=len(body),
        crc=zlib.crc32(body),
    )
    head: Mapping[str, Any] = {
        "format": FAST_FORMAT,
        **{name: getattr(described, name) for name in FastDescription.__slots__},
    }
    line = json.dumps(head).encode()
    with replaced(path) as file:
        file.write(b"%d %s\n" % (zlib.crc32(line), line))
        file.write(body)
    return described


def fast_described(path: Path) -> FastDescription:
    """Return the description of a file of the right length. Raises SegmentError, FileNotFoundError."""
    with reading(path) as file:
        line = file.readline(MAX_HEAD_BYTES)
        size = path.stat().st_size
    try:
        checksum, _, body = line.removesuffix(b"\n").partition(b" ")
        if int(checksum) != zlib.crc32(body):
            raise SegmentError(f"{path.name}: wrong checksum")
        head = json.loads(body)
        if head.pop("format") != FAST_FORMAT:
            raise SegmentError(f"{path.name}: another format")
        described = FastDescription(**head)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SegmentError(f"{path.name}: cannot be read") from error
    if size != len(line) + described.bytes:
        raise SegmentError(f"{path.name}: wrong length")
    return described


def fast_read(path: Path, described: FastDescription, rows: int, dimension: int) -> FastCodes:
    """Read fast codes of a segment with `rows` rows. Raises SegmentError, FileNotFoundError."""
    import faiss

    if (described.rows, described.dimension) != (rows, dimension):
        raise SegmentError(f"{path.name}: of another segment")
    with reading(path) as file:
        file.readline(MAX_HEAD_BYTES)
        body = file.read()
    if zlib.crc32(body) != described.crc:
        raise SegmentError(f"{path.name}: wrong checksum")
    split = 4 * described.components * dimension
    projection = np.frombuffer(body, "<f4", split // 4).reshape(described.components, dimension)
    try:
        index = faiss.deserialize_index(np.frombuffer(body, np.uint8, offset=split))
    except Exception as error:  # FAISS raises RuntimeError: written by another version
        raise SegmentError(f"{path.name}: FAISS cannot read it") from error
    if index.ntotal != rows:
        raise SegmentError(f"{path.name}: of another segment")
    return FastCodes(projection, index, described.candidates, described.exact_from)
