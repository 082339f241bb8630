"""Middleware that every answer passes: request id, error envelope, decoding of compressed bodies."""

import io
import logging
import zlib
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.common.errors import LunaError
from apps.common.request_id import HEADER, accept_request_id, current_request_id

logger = logging.getLogger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponseBase]

API_PREFIXES = ("/6", "/version", "/healthcheck", "/docs")
STATUS_CODES = {400: 12046, 404: 12013, 405: 12021, 413: 37003, 415: 12024}
INFLATE_CHUNK_BYTES = 64 * 1024


class RequestIdFilter(logging.Filter):
    """Gives every log line the id of the request in which it was written."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True


class RequestIdMiddleware:
    """Accepts or makes the request id, keeps it for log lines and returns it in the answer."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = accept_request_id(request.headers.get(HEADER))
        token = current_request_id.set(request_id)
        try:
            response = self.get_response(request)
        finally:
            current_request_id.reset(token)
        response.headers[HEADER] = request_id
        return response


def error_response(error: LunaError) -> HttpResponse:
    """The error body outside DRF."""
    import orjson

    return HttpResponse(
        orjson.dumps(error.body()),
        status=error.status,
        content_type="application/json",
        headers=error.headers,
    )


class ErrorEnvelopeMiddleware:
    """Turns Django's own error pages on API paths (404, 405, 413, crashes) into the error body."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdigit() and int(length) > settings.MAX_REQUEST_BYTES:
            return error_response(LunaError(37003))
        response = self.get_response(request)
        if response.status_code < 400 or not request.path.startswith(API_PREFIXES):
            return response
        if response.headers.get("Content-Type", "").startswith("text/html"):
            code = STATUS_CODES.get(response.status_code, 12046 if response.status_code < 500 else 1)
            return error_response(LunaError(code, status=response.status_code))
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """A LunaError outside DRF is answered as such; anything else is logged and answered with code 1."""
        if not request.path.startswith(API_PREFIXES):
            return None
        if isinstance(exception, LunaError):
            return error_response(exception)
        logger.exception("unhandled exception on %s %s", request.method, request.path)
        return error_response(LunaError(1))


class ContentEncodingMiddleware:
    """Decodes gzip and deflate request bodies, bounded by `MAX_REQUEST_BYTES` of decoded data."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        if encoding in ("", "identity"):
            return self.get_response(request)
        if encoding not in ("gzip", "deflate"):
            return error_response(LunaError(12024))
        try:
            body = inflate(request, encoding)
        except zlib.error:
            return error_response(LunaError(12044 if encoding == "gzip" else 12045))
        except LunaError as error:
            return error_response(error)
        request._stream = body  # type: ignore[attr-defined]  # what Django and DRF read the body from
        request.META["CONTENT_LENGTH"] = str(body.getbuffer().nbytes)
        request.META.pop("HTTP_CONTENT_ENCODING")
        return self.get_response(request)


def inflate(request: HttpRequest, encoding: str) -> io.BytesIO:
    """The decoded body. Raises zlib.error for garbage or a cut stream, LunaError 37003 when it grows too large."""
    # 32 + 15 recognises gzip and zlib headers; raw deflate (-15) is what some clients send as `deflate`.
    decoder = zlib.decompressobj(32 + zlib.MAX_WBITS)
    body = io.BytesIO()
    first = True
    while chunk := request.read(INFLATE_CHUNK_BYTES):
        try:
            decoded = decoder.decompress(chunk, settings.MAX_REQUEST_BYTES + 1)
        except zlib.error:
            if not first or encoding != "deflate":
                raise
            decoder = zlib.decompressobj(-zlib.MAX_WBITS)
            decoded = decoder.decompress(chunk, settings.MAX_REQUEST_BYTES + 1)
        first = False
        body.write(decoded)
        if body.tell() > settings.MAX_REQUEST_BYTES:
            raise LunaError(37003)
    if not decoder.eof:
        raise zlib.error("the stream ends early")
    body.seek(0)
    return body
