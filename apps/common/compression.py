"""Compression of responses for clients that accept gzip or deflate."""

import re
import zlib
from collections.abc import Callable, Mapping
from functools import partial

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_string

from apps.common.middleware import GetResponse

# Pictures are compressed already. Admin pages are excluded: they contain both user input and CSRF secrets (BREACH).
COMPRESSED_TYPES = ("application/json", "application/msgpack", "application/x-yaml", "application/vnd.oai.openapi")
MIN_BYTES = 200
LEVEL = 6
# Random bytes in the gzip header hide the exact length of a compressed response (BREACH). deflate has no such field.
RANDOM_BYTES = 100
# In order of preference.
ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": partial(compress_string, max_random_bytes=RANDOM_BYTES),
    "deflate": partial(zlib.compress, level=LEVEL),
}
ENCODING = re.compile(r"\s*(?P<name>[a-z0-9*-]+)\s*(?:;\s*q=(?P<weight>[0-9.]+)\s*)?", re.IGNORECASE)


class CompressionMiddleware:
    """Compresses JSON, MessagePack and OpenAPI responses of at least `MIN_BYTES`."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.streaming or not response.headers.get("Content-Type", "").startswith(COMPRESSED_TYPES):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        content: bytes = response.content  # type: ignore[attr-defined]  # only streaming responses have none
        header = request.META.get("HTTP_ACCEPT_ENCODING")
        if not header or len(content) < MIN_BYTES or {"Content-Encoding", "ETag"} & response.headers.keys():
            return response
        accepted = accepted_encodings(header)
        encoding = next((name for name in ENCODERS if name in accepted), None)
        if encoding is None:
            return response
        packed = ENCODERS[encoding](content)
        if len(packed) < len(content):
            response.content = packed  # type: ignore[attr-defined]
            response.headers["Content-Length"] = str(len(packed))
            response.headers["Content-Encoding"] = encoding
        return response


def accepted_encodings(header: str) -> frozenset[str]:
    """Return the content codings of an `Accept-Encoding` header with a weight above 0."""
    found = (ENCODING.fullmatch(part) for part in header.split(","))
    return frozenset(each["name"].lower() for each in found if each and _weight(each["weight"]) > 0)


def _weight(text: str | None) -> float:
    try:
        return 1.0 if text is None else float(text)
    except ValueError:
        return 0.0
