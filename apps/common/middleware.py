"""Middleware of all responses: request id, error body, decompression of request bodies."""

import io
import logging
import zlib
from collections.abc import Callable
from typing import IO

import orjson
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.common import errors
from apps.common.bodies import bodies
from apps.common.config import Http, config
from apps.common.errors import LunaError
from apps.common.hosts import check_host
from apps.common.limits import body_too_large, too_large
from apps.common.request_id import HEADER, KEY, accept_request_id, current_request_id

logger = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponseBase]

PAGES = ("/admin", "/static")  # pages for people keep Django's error pages
STATUS_CODES = {
    400: errors.INVALID_REQUEST,
    404: errors.PAGE_NOT_FOUND,
    405: errors.METHOD_NOT_ALLOWED,
    413: errors.PAYLOAD_TOO_LARGE,
    415: errors.UNSUPPORTED_MEDIA_TYPE,
}
INFLATE_CHUNK_BYTES = 64 * 1024
MAX_INFLATION = 100  # decompressed per compressed byte: gzip reaches 1,000, photographs and JSON below 20
MAX_GZIP_MEMBERS = 20_000  # the rest of the chunk is copied for each member


class RequestIdMiddleware:
    """Accepts or generates the request id, sets it for log lines and adds it to the response."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = accept_request_id(request.META.get(KEY))
        token = current_request_id.set(request_id)
        try:
            response = self.get_response(request)
        finally:
            current_request_id.reset(token)
        response.headers[HEADER] = request_id
        return response


def error_response(error: LunaError) -> HttpResponse:
    """Return an error response outside DRF."""
    return HttpResponse(
        orjson.dumps(error.body()),
        status=error.status,
        content_type="application/json",
        headers=error.headers,
    )


class HostMiddleware:
    """Rejects requests that name a host which is not allowed, before anything else reads them."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            check_host(request)
        except LunaError as error:
            return error_response(error)
        return self.get_response(request)


class ErrorEnvelopeMiddleware:
    """Replaces Django's error pages on API paths (404, 405, 413, 500) with error bodies."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdigit() and int(length) > config(Http).request_max_size:
            return error_response(body_too_large())
        response = self.get_response(request)
        if response.status_code < 400 or request.path_info.startswith(PAGES):
            return response
        if response.headers.get("Content-Type", "").startswith("text/html"):
            code = STATUS_CODES.get(response.status_code, errors.INVALID_REQUEST if response.status_code < 500 else 1)
            allow = {"Allow": response.headers["Allow"]} if "Allow" in response.headers else {}
            return error_response(LunaError(code, status=response.status_code, headers=allow))
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a LunaError with its body. Log any other exception and answer with INTERNAL_ERROR."""
        if request.path_info.startswith(PAGES):
            return None
        if isinstance(exception, LunaError):
            return error_response(exception)
        logger.exception("Unhandled exception on %s %s", request.method, request.path)
        return error_response(LunaError(errors.INTERNAL_ERROR))


class ContentEncodingMiddleware:
    """Decompresses gzip and deflate request bodies within the limits of `inflate`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
        if encoding in ("", "identity"):
            return self.get_response(request)
        if encoding not in ("gzip", "deflate"):
            return error_response(LunaError(errors.UNSUPPORTED_MEDIA_TYPE))
        try:
            body = inflate(request, encoding)
        except zlib.error:
            return error_response(LunaError(errors.BAD_GZIP_BODY if encoding == "gzip" else errors.BAD_DEFLATE_BODY))
        except LunaError as error:
            return error_response(error)
        with body:
            # Django and DRF read the decompressed body from here.
            request.META["wsgi.input"] = request._stream = body  # type: ignore[assignment]
            request._read_started = False  # type: ignore[attr-defined]
            request.META["CONTENT_LENGTH"] = str(body.seek(0, io.SEEK_END))
            body.seek(0)
            del request.META["HTTP_CONTENT_ENCODING"]
            return self.get_response(request)


def inflate(request: HttpRequest, encoding: str) -> IO[bytes]:
    """Decompress a request body chunk by chunk, into memory or, if it is large, into a temporary file.

    gzip may have several members. Raises zlib.error for a malformed or truncated stream and for trailing bytes. Raises
    LunaError PAYLOAD_TOO_LARGE when the result exceeds `request_max_size`, or exceeds both `json_max_size` and
    `MAX_INFLATION` times the compressed size.
    """
    sent = int(request.META.get("CONTENT_LENGTH") or 0)
    max_bytes = min(config(Http).request_max_size, max(config(Http).json_max_size, MAX_INFLATION * sent))
    chunk = request.read(INFLATE_CHUNK_BYTES)
    decoder = decoder_of(chunk, encoding)
    members = 1
    body = bodies().new()
    try:
        piece = b""
        while chunk or len(piece) == INFLATE_CHUNK_BYTES:  # the last input bytes may yield several chunks
            piece = decoder.decompress(chunk, INFLATE_CHUNK_BYTES)
            body.write(piece)
            if body.tell() > max_bytes:
                raise _inflated_too_large(max_bytes)
            chunk = decoder.unconsumed_tail or decoder.unused_data or request.read(INFLATE_CHUNK_BYTES)
            if decoder.eof and chunk:
                members += 1
                if encoding != "gzip" or members > MAX_GZIP_MEMBERS:
                    raise zlib.error("bytes follow the end of the stream")
                decoder = decoder_of(chunk, encoding)
        if not decoder.eof:
            raise zlib.error("the stream ends early")
    except BaseException:
        body.close()
        raise
    return body


def _inflated_too_large(max_bytes: int) -> LunaError:
    what = "the decompressed body"
    if max_bytes == config(Http).request_max_size:
        return too_large(what, (Http, "request_max_size"))
    if max_bytes == config(Http).json_max_size:
        return too_large(what, (Http, "json_max_size"))
    return too_large(f"{what}, at most {MAX_INFLATION} times its compressed size,", max_bytes)


def decoder_of(start: bytes, encoding: str) -> "zlib._Decompress":
    """Return the decoder for a body that starts with these bytes. Some clients send `deflate` without zlib header."""
    if encoding == "gzip":
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    zlib_header = len(start) > 1 and start[0] & 0x0F == zlib.DEFLATED and int.from_bytes(start[:2]) % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)
