"""Requests to client-supplied URLs, protected against access to the platform's own network (SSRF).

A name is resolved once, and the connection goes to the checked address, which prevents DNS rebinding. Each redirect
passes the same check. One deadline covers the whole request, including slow headers and slow bodies.
"""

import ipaddress
import math
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx

MAX_REDIRECTS = 3
REDIRECTS = frozenset({301, 302, 303, 307, 308})
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# The allocated global unicast range of IPv6. Site-local, translated and IPv4-compatible addresses are outside.
UNICAST6 = ipaddress.ip_network("2000::/3")

FAILURES = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ssl.SSLError)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class FetchError(Exception):
    """The request was refused or failed. The message is for logs only: it may name internal addresses."""


class RefusedError(FetchError):
    """The URL or its address is not allowed; a retry would fail too."""


class TooLargeError(FetchError):
    """The body is larger than allowed."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Time limits in seconds: of opening a connection, of a read or write without data, and of the whole request."""

    total_s: float
    connect_s: float = math.inf
    silence_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Fetched:
    """The body of a 200 response and its content type in lower case, without parameters ("" when missing)."""

    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is being received. `declared`: its size in bytes by the header, None when missing."""

    chunks: Iterator[bytes]
    content_type: str
    declared: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. Names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    data: bytes


def is_public(address: Address) -> bool:
    """Return whether an address is public. An IPv6 address that embeds an IPv4 address is judged by the latter."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo is not None:
            inner = address.teredo[1]
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in UNICAST6:
            return False
    return address.is_global and not address.is_multicast


def resolve(host: str, port: int, *, allow_private: bool) -> str:
    """Resolve a name to the address to connect to.

    Raises FetchError when the name has no address, RefusedError when any of its addresses is not public.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError(f"{host} has no address") from error
    addresses = [str(answer[4][0]) for answer in answers]
    if not allow_private:
        for text in addresses:
            if not is_public(ipaddress.ip_address(text.partition("%")[0])):
                raise RefusedError(f"{host} resolves to {text}, which is not public")
    return addresses[0]


class DeadlineStream(httpcore.NetworkStream):
    """A connection whose reads and writes end at the deadline, or after `silence_s` seconds without data.

    `deadline`: seconds of `time.monotonic`.
    """

    def __init__(self, stream: httpcore.NetworkStream, deadline: float, silence_s: float) -> None:
        self._stream = stream
        self._deadline = deadline
        self._silence_s = silence_s

    def _left_s(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the request exceeded its time limit")
        return min(left, self._silence_s)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._left_s())
        return DeadlineStream(stream, self._deadline, self._silence_s)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class GuardedBackend(httpcore.SyncBackend):
    """Opens connections to public addresses only, unless `allow_private`. Its time limits start at its creation."""

    def __init__(self, timeouts: Timeouts, *, allow_private: bool) -> None:
        self._deadline = time.monotonic() + timeouts.total_s
        self._timeouts = timeouts
        self._allow_private = allow_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        address = resolve(host, port, allow_private=self._allow_private)
        left = max(self._deadline - time.monotonic(), 0.001)
        stream = super().connect_tcp(address, port, min(left, self._timeouts.connect_s), local_address, socket_options)
        return DeadlineStream(stream, self._deadline, self._timeouts.silence_s)


@cache
def ssl_context() -> ssl.SSLContext:
    """Return the context that verifies servers, of HTTPS and of other protocols."""
    return httpx.create_ssl_context()


def fetch(url: str, *, max_bytes: int, timeouts: Timeouts, allow_private: bool = False) -> Fetched:
    """GET an http or https URL, following at most `MAX_REDIRECTS` redirects.

    `timeouts` apply to the whole request except name resolution. Raises FetchError for another scheme, an address that
    is not public (unless `allow_private`), a status other than 200, a compressed body, a body larger than `max_bytes`,
    and network failures.
    """
    with stream(url, max_bytes=max_bytes, timeouts=timeouts, accept="image/*", allow_private=allow_private) as body:
        return Fetched(b"".join(body.chunks), body.content_type)


@contextmanager
def stream(
    url: str, *, max_bytes: int, timeouts: Timeouts, accept: str = "*/*", allow_private: bool = False
) -> Iterator[Stream]:
    """GET a URL as `fetch` does, and yield its body while it is received.

    Iterating over the chunks raises FetchError too, TooLargeError once the body exceeds `max_bytes`.
    """
    backend = GuardedBackend(timeouts, allow_private=allow_private)
    headers = [("User-Agent", "luna"), ("Accept", accept), ("Accept-Encoding", "identity")]
    try:
        with httpcore.ConnectionPool(ssl_context=ssl_context(), network_backend=backend) as pool:
            for _ in range(MAX_REDIRECTS + 1):
                with pool.stream("GET", _checked_url(url), headers=headers) as response:
                    answered = _headers(response)
                    if response.status not in REDIRECTS or "location" not in answered:
                        yield _received(url, response, answered, max_bytes)
                        return
                url = _redirected(url, answered["location"])
    except FAILURES as error:
        raise FetchError(f"{shown_url(url)}: {error!r}") from error
    raise FetchError(f"{shown_url(url)}: more than {MAX_REDIRECTS} redirects")


def send(
    method: str,
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    max_bytes: int,
    timeouts: Timeouts,
    allow_private: bool = False,
) -> Answer:
    """Send a request and return the response of any status. Redirects are not followed.

    Raises FetchError as `stream` does for addresses, sizes and network failures.
    """
    backend = GuardedBackend(timeouts, allow_private=allow_private)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=ssl_context(), network_backend=backend) as pool,
            pool.stream(method, _checked_url(url), headers=list(headers.items()), content=body) as response,
        ):
            answered = _headers(response)
            return Answer(response.status, answered, b"".join(_chunks(url, response, answered, max_bytes)))
    except FAILURES as error:
        raise FetchError(f"{shown_url(url)}: {error!r}") from error


def post(
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    timeouts: Timeouts,
    allow_private: bool = False,
) -> Answer:
    """POST to an http or https URL and return status and headers. Redirects are not followed, the body is not read.

    Raises FetchError as `fetch` does, except that every status is accepted.
    """
    return _unread("POST", url, timeouts, allow_private, headers=list(headers.items()), content=body)


def delete(url: str, *, timeouts: Timeouts, allow_private: bool = False) -> Answer:
    """Send a DELETE request, and return what `post` returns."""
    return _unread("DELETE", url, timeouts, allow_private, headers=[("User-Agent", "luna")])


def _unread(method: str, url: str, timeouts: Timeouts, allow_private: bool, **request: Any) -> Answer:
    """Send a request and return status and headers; the body is not read."""
    backend = GuardedBackend(timeouts, allow_private=allow_private)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=ssl_context(), network_backend=backend) as pool,
            pool.stream(method, _checked_url(url), **request) as response,
        ):
            return Answer(response.status, _headers(response), b"")
    except FAILURES as error:
        raise FetchError(f"{shown_url(url)}: {error!r}") from error


def _headers(response: httpcore.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


def _received(url: str, response: httpcore.Response, answered: Mapping[str, str], max_bytes: int) -> Stream:
    """Return the body of a 200 response. Raises FetchError for another status and for a compressed body."""
    if response.status != 200:
        raise FetchError(f"{shown_url(url)}: HTTP {response.status}")
    if answered.get("content-encoding", "identity").lower() != "identity":
        raise FetchError(f"{shown_url(url)}: compressed")
    content_type = answered.get("content-type", "").partition(";")[0].strip().lower()
    return Stream(_chunks(url, response, answered, max_bytes), content_type, _declared(answered))


def _chunks(url: str, response: httpcore.Response, answered: Mapping[str, str], max_bytes: int) -> Iterator[bytes]:
    """Yield the body. Raises TooLargeError if its declared or its actual size exceeds `max_bytes`."""
    declared, received = _declared(answered), 0
    if declared is not None and declared > max_bytes:
        raise TooLargeError(f"{shown_url(url)}: {declared} bytes")
    for chunk in response.iter_stream():
        received += len(chunk)
        if received > max_bytes:
            raise TooLargeError(f"{shown_url(url)}: more than {max_bytes} bytes")
        yield chunk


def _declared(answered: Mapping[str, str]) -> int | None:
    text = answered.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _redirected(url: str, location: str) -> str:
    """Return the target of a redirect. Raises FetchError when it is not a URL."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise FetchError(f"{shown_url(url)}: the redirect's target is not a URL") from error


def _checked_url(url: str) -> httpcore.URL:
    """Return the URL without user and fragment. Raises RefusedError for another scheme or a missing host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if parts.scheme not in ("http", "https") or not host:
            raise RefusedError(f"{shown_url(url)} is not an http URL")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return httpcore.URL(scheme=parts.scheme, host=host.encode("idna"), port=port, target=quoted(target))
    except (ValueError, UnicodeError) as error:
        raise RefusedError(f"{shown_url(url)} is not a URL") from error


def shown_url(url: str) -> str:
    """Return the URL for logs: without user, query and fragment, which may contain keys."""
    scheme, _, rest = url.partition("://")
    place = rest.partition("?")[0].partition("#")[0]
    host, slash, path = place.partition("/")
    return repr(f"{scheme}://{host.rpartition('@')[2]}{slash}{path}")


def quoted(target: str) -> bytes:
    """Percent-encode the bytes of path and query that are not printable ASCII."""
    return b"".join(
        bytes([byte]) if 0x20 < byte < 0x7F else b"%%%02X" % byte for byte in target.encode("utf-8", "surrogatepass")
    )
