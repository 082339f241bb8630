"""Streaming parser of multipart bodies, with the headers of each part and a limit of the part's size."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.http.multipartparser import (  # type: ignore[attr-defined]  # two names lack in the stubs
    MAX_TOTAL_HEADER_SIZE,
    RAW,
    BoundaryIter,
    ChunkIter,
    InputStreamExhausted,
    InterBoundaryIter,
    LazyStream,
    MultiPartParserError,
    parse_boundary_stream,
)
from django.utils.http import parse_header_parameters

from apps.common import errors
from apps.common.errors import LunaError

CHUNK_BYTES = 64 * 1024
MAX_BOUNDARY_BYTES = 200
TAIL_BYTES = 1024
LINE_END = b"\r\n"


@dataclass(frozen=True, slots=True)
class Part:
    """One part. Longer `data` is cut one byte above the limit, so that readers can detect it."""

    name: str
    filename: str | None
    content_type: str
    charset: str
    headers: Mapping[str, str]
    data: bytes


def read_parts(stream: Any, content_type: str, *, max_part_bytes: int) -> Iterator[Part]:
    """Yield the parts of a body as they arrive.

    Raises LunaError INVALID_REQUEST for a body that is not multipart or is truncated, and for a part without a name.
    """
    boundary = parse_header_parameters(content_type)[1].get("boundary", "")
    if not boundary or not boundary.isascii() or len(boundary) > MAX_BOUNDARY_BYTES:
        raise LunaError(errors.INVALID_REQUEST, "header `Content-Type` has no multipart `boundary`")
    watched = _Watched(stream)
    delimiter = LINE_END + b"--" + boundary.encode()
    try:
        streams = _Encapsulations(LazyStream(ChunkIter(cast(Any, watched), CHUNK_BYTES)), delimiter)
        for number, stream_of_part in enumerate(streams):
            _make_readable(stream_of_part)
            kind, headers, body = parse_boundary_stream(stream_of_part, MAX_TOTAL_HEADER_SIZE)
            if kind != RAW:
                yield _read_part(headers, body, max_part_bytes)
            elif number and body.read(2) != b"--":  # the preamble and the epilogue are not parts
                raise LunaError(
                    errors.INVALID_REQUEST, "a part of the multipart body has no readable header `Content-Disposition`"
                )
    except (MultiPartParserError, InputStreamExhausted, UnicodeDecodeError) as error:
        raise LunaError(errors.INVALID_REQUEST, "the multipart body is malformed") from error
    if f"--{boundary}--".encode() not in watched.tail:
        raise LunaError(errors.INVALID_REQUEST, "the multipart body has no closing boundary")


def _make_readable(part: LazyStream) -> None:
    """Convert headers of a part from Latin-1 if they are not UTF-8, because some clients send such file names."""
    start = part.read(MAX_TOTAL_HEADER_SIZE)
    end = max(start.find(b"\r\n\r\n"), 0)
    try:
        start[:end].decode()
    except UnicodeDecodeError:
        start = start[:end].decode("latin-1").encode() + start[end:]
    part.unget(start)


class _Encapsulations(InterBoundaryIter):
    """Yields what is between two delimiters, which are at the start of a line (RFC 2046, 5.1.1).

    Django's iterator finds them anywhere. One picture of 30 KB in 500 contains the delimiter of the boundary `b`.
    """

    def __next__(self) -> LazyStream:
        try:
            return LazyStream(_Encapsulation(self._stream, self._boundary))  # type: ignore[attr-defined]
        except InputStreamExhausted:
            raise StopIteration from None


class _Encapsulation(BoundaryIter):
    def _find_boundary(self, data: bytes) -> tuple[int, int] | None:
        """Return the end of the data, and the start of what follows the delimiter, which includes its line end."""
        index = data.find(self._boundary)  # type: ignore[attr-defined]
        return None if index < 0 else (index, index + len(self._boundary))  # type: ignore[attr-defined]


class _Watched:
    """Stream that keeps its last bytes, because Django's parser does not report a missing closing boundary.

    It begins with a line end: the first delimiter may be at the start of the body.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._start = LINE_END
        self.tail = b""

    def read(self, size: int) -> bytes:
        data: bytes = self._start + self._stream.read(size)
        self._start = b""
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        return data


def _read_part(headers: Mapping[str, tuple[str, Mapping[str, Any]]], body: LazyStream, max_bytes: int) -> Part:
    disposition: Mapping[str, bytes] = headers["content-disposition"][1]
    data = bytearray()
    for chunk in body:
        # The excess is read and dropped, because the next part begins after it.
        data += chunk[: max_bytes + 1 - len(data)]
    filename = disposition.get("filename")
    content_type, parameters = headers.get("content-type", ("", {}))
    return Part(
        name=disposition.get("name", b"").decode(),
        filename=None if filename is None else filename.decode(),
        content_type=content_type.strip(),
        charset=parameters.get("charset", b"").decode(),
        headers={name: value.strip() for name, (value, _) in headers.items()},
        data=bytes(data),
    )
