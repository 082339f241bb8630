"""Request bodies and response contents: size limits, streams, ranges, conditional requests."""

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from apps.common import errors
from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.common.limits import image_too_large
from apps.common.times import format_time
from apps.imagestore.failures import storage_errors
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_open

META_PREFIX = "X-Luna-Meta-"
MAX_META_KEYS = 32
MAX_META_CHARACTERS = 1024
META_KEY = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")
RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
BLOCK_BYTES = 1024 * 1024


def body_length(request: Request) -> int:
    """Return the announced length of the body. Raises LunaError NO_DATA when it is missing or 0."""
    length = str(request.META.get("CONTENT_LENGTH") or "")
    if not length.isdigit() or not int(length):
        raise LunaError(errors.NO_DATA)
    return int(length)


def image_read(request: Request) -> bytes:
    """Read an image body. Raises LunaError NO_DATA for an empty one, PAYLOAD_TOO_LARGE above its limit."""
    max_bytes = config(Images).max_bytes
    if body_length(request) > max_bytes:
        raise image_too_large()
    data: bytes = request._request.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise image_too_large()
    return data


class BodyStream:
    """The body as a stream. Reading raises LunaError INVALID_REQUEST when the client stops early."""

    def __init__(self, request: Request) -> None:
        self.left = body_length(request)
        self.request = request._request

    def read(self, size: int = -1) -> bytes:
        chunk: bytes = self.request.read(self.left if size < 0 else min(size, self.left))
        if not chunk and self.left:
            raise LunaError(errors.INVALID_REQUEST, "the body is shorter than the `Content-Length` header announces")
        self.left -= len(chunk)
        return chunk


def headers_as_sent(request: Request) -> Iterator[tuple[str, str]]:
    """Yield header names in lower case and values. Luna's server keeps `_` in names; other servers lose it."""
    raw = request.META.get("luna.headers")
    if raw is None:
        yield from ((name.lower(), value) for name, value in request.headers.items())
    else:
        yield from ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)


def meta_of_headers(request: Request) -> dict[str, str]:
    """Return the `X-Luna-Meta-*` headers, keys in lower case. Raises LunaError INVALID_REQUEST for invalid ones."""
    meta: dict[str, str] = {}
    for name, sent in headers_as_sent(request):
        if name.startswith(META_PREFIX.lower()):
            key = name[len(META_PREFIX) :]
            value = f"{meta[key]},{sent}" if key in meta else sent
            if not META_KEY.fullmatch(key) or len(value) > MAX_META_CHARACTERS or not header_safe(value):
                raise LunaError(errors.INVALID_REQUEST, f"a header `{META_PREFIX}*` has an invalid key or value")
            meta[key] = value
    if len(meta) > MAX_META_KEYS:
        raise LunaError(
            errors.INVALID_REQUEST, f"at most {MAX_META_KEYS} headers `{META_PREFIX}*` are accepted, got {len(meta)}"
        )
    return meta


def header_safe(value: str) -> bool:
    """Return whether a response header can contain `value`: Latin-1 without control characters."""
    return all(character >= " " and character != "\x7f" and ord(character) < 256 for character in value)


def object_headers(stored: StoredObject) -> dict[str, str]:
    """Return the headers of all responses about an object."""
    headers = {"ETag": f'"{stored.sha256}"', "Accept-Ranges": "bytes"}
    if stored.expiry_time is not None:
        headers["X-Luna-Expiry-Date"] = str(format_time(stored.expiry_time))
    return headers


def head_response(stored: StoredObject, headers: dict[str, str] | None = None) -> HttpResponse:
    """Return the response to HEAD: the headers of GET, without opening the file."""
    headers = {**object_headers(stored), **(headers or {}), "Content-Length": str(stored.size_bytes)}
    return HttpResponse(content_type=stored.content_type, headers=headers)


def content_response(request: Request, stored: StoredObject, headers: dict[str, str] | None = None) -> HttpResponseBase:
    """Return the object's bytes (large ones streamed), 304 for a matching ETag, or 206 for a range.

    Raises LunaError INVALID_REQUEST (status 416) for a range outside the object,
    DISK_IMAGE_READ_FAILED/DISK_OBJECT_READ_FAILED when the file cannot be read.
    """
    headers = {**object_headers(stored), **(headers or {})}
    if not tags(request.headers.get("If-None-Match", "")).isdisjoint((headers["ETag"], "*")):
        return HttpResponse(status=304, headers=headers)
    first, last = byte_range(request, stored)
    count = last - first + 1
    headers["Content-Length"] = str(count)
    part = Part(object_open(stored=stored), first, count)
    response: HttpResponse | FileResponse
    if count <= BLOCK_BYTES:  # one piece: streaming costs more than reading a small file
        with storage_errors(stored.bucket, "get"), closing(part):
            response = HttpResponse(part.read(), content_type=stored.content_type, headers=headers)
    else:
        response = FileResponse(part, content_type=stored.content_type, headers=headers)
        response.block_size = BLOCK_BYTES
    if count != stored.size_bytes:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {first}-{last}/{stored.size_bytes}"
    return response


def tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def byte_range(request: Request, stored: StoredObject) -> tuple[int, int]:
    """Return first and last byte: of the whole object without a valid single range, or if `If-Range` differs."""
    size = stored.size_bytes
    found = RANGE.fullmatch(request.headers.get("Range", "").strip())
    condition = request.headers.get("If-Range")
    if found is None or not any(found.groups()) or (condition and condition != f'"{stored.sha256}"'):
        return 0, size - 1
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size or end < start:
        detail = f"the range of header `Range` must be within 0 to {size - 1}"
        raise LunaError(errors.INVALID_REQUEST, detail, status=416, headers={"Content-Range": f"bytes */{size}"})
    return start, end


class Part:
    """A file object with `count` bytes of another file from `first` on. Closing it closes the other."""

    def __init__(self, file: Any, first: int, count: int) -> None:
        self.file: BinaryIO = file
        self.left = count
        if first:
            file.seek(first)

    def read(self, size: int = -1) -> bytes:
        chunk = self.file.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(chunk)
        return chunk

    def close(self) -> None:
        self.file.close()
