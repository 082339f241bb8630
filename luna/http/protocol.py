"""uvicorn's connections, with a bound on each that a silent or slow client cannot stretch.

uvicorn waits for ever for the first request of a connection, for the end of its headers, and for a client that does
not read. `Server` looks at all connections once a second and ends those whose time is over.
"""

import re
import time
from collections.abc import Sequence
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.request_id import new_request_id
from luna.http import access
from luna.http.answers import error_answer
from luna.http.limits import HEAD_LIMIT_BYTES, HEAD_S, LINGER_S, UNREAD_S

BODYLESS_STATUSES = (204, 304)
TICKS_PER_SWEEP = 10  # uvicorn ticks ten times a second

HEAD_END = re.compile(rb"(?:^|\n)\r?\n")
# Java's HttpClient offers HTTP/2 with every request. The parser ends a request with an offer behind its headers, and
# reads its body as the next request. A server may ignore an offer (RFC 9110, 7.8), so the line is removed.
OFFER = re.compile(rb"^upgrade[ \t]*:(?![ \t]*websocket\b)[^\n]*\n", re.IGNORECASE | re.MULTILINE)


class Protocol(HttpToolsProtocol):
    """One connection: bounds on the size and time of its headers, on what its client leaves unread, and the platform's
    error body for what is not HTTP.

    At most `max_connections` are open; the one that has been idle for longest makes room for a new one.
    """

    max_connections = 4096
    idle: "dict[Protocol, None]" = {}  # connections without a request, the longest idle first

    def connection_made(self, transport: Any) -> None:
        self.head_bytes, self.in_head, self.cut_line = 0, True, b""
        self.head_since: float | None = time.monotonic()
        self.unread_since: float | None = None
        self.closing_since: float | None = None
        self.running: Any = None
        self.left = False
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            oldest = next(iter(self.idle), None)
            if oldest is None:
                self.refuse(LunaError(errors.SERVICE_BUSY, "too many connections are open"))
                return
            del self.idle[oldest]
            oldest.end()
        self.idle[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.idle.pop(self, None)
        self.tell_request()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["luna.left"] = self.has_left  # type: ignore[typeddict-unknown-key]
        self.scope["luna.respond"] = self.respond  # type: ignore[typeddict-unknown-key]

    def has_left(self) -> bool:
        """Return whether the client has closed the connection. Threads may ask."""
        return self.left

    def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write a whole response to the running request. False while the client leaves earlier ones unread.

        uvicorn's `send`, called for the head and for the body, takes a tenth of the time of a look-up.
        """
        cycle = self.running
        if self.flow.write_paused or cycle.response_started or self.transport.is_closing():
            return False
        lines = [b"%b: %b\r\n" % line for line in (*self.server_state.default_headers, *headers)]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        if cycle.scope["method"] == "HEAD" or status in BODYLESS_STATUSES:
            body = b""
        self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.running = cycle
        super()._start_asgi_task(cycle, app)

    def tell_request(self) -> None:
        """Let the request that runs know that its client is gone. uvicorn tells the one that was parsed last."""
        self.left = True
        if self.running is not None and not self.running.response_complete:
            self.running.disconnected = True
            self.running.message_event.set()

    def end(self) -> None:
        """Close the connection at once, whatever is unsent."""
        self.tell_request()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data and not self.transport.is_closing():
            part, data = self.head_received(data) if self.in_head else (data, b"")
            if self.head_bytes > HEAD_LIMIT_BYTES:
                self.send_400_response("Request line and headers are too large")
            elif part:
                super().data_received(part)

    def head_received(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the complete lines of a head without offers of other protocols, and the bytes behind the head.

        A line that is cut is kept for the next call.
        """
        if self.head_since is None and self in self.idle:
            self.head_since = time.monotonic()
        self.head_bytes -= len(self.cut_line)
        data, self.cut_line = self.cut_line + data, b""
        end = HEAD_END.search(data)
        head = end.end() if end else len(data)
        self.head_bytes += head
        if end is None:
            lines = data.rfind(b"\n") + 1
            data, self.cut_line = data[:lines], data[lines:]
        return OFFER.sub(b"", data[:head]), data[head:]

    def _unsupported_upgrade_warning(self) -> None:
        """End a connection whose offer was pipelined behind another request, if bytes behind it are of its body."""
        if any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers):
            self.end()

    def on_headers_complete(self) -> None:
        self.head_bytes, self.in_head, self.head_since = 0, False, None
        self.idle.pop(self, None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if not self.pipeline:
            self.idle[self] = None
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        self.idle.pop(self, None)
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        self.unread_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.unread_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self.refuse(LunaError(errors.INVALID_REQUEST, msg))

    def refuse(self, error: LunaError) -> None:
        """Answer with an error and close the connection."""
        headers, body = error_answer(error, new_request_id(), close=True)
        access.write_access(method=access.NONE, path="", status=error.status, started_s=time.perf_counter())
        lines = [name + b": " + value + b"\r\n" for name, value in (*self.server_state.default_headers, *headers)]
        self.transport.write(b"".join([STATUS_LINE[error.status], *lines, b"\r\n", body]))
        self.transport.close()

    def sweep(self, now: float) -> None:
        """End the connection where its client was given enough time (seconds of `time.monotonic`)."""
        if self.transport.is_closing():
            self.closing_since = self.closing_since or now
            if now - self.closing_since > LINGER_S:
                self.end()
        elif self.unread_since is not None and now - self.unread_since > UNREAD_S:
            self.end()
        elif self.head_since is not None and now - self.head_since > HEAD_S:
            if self.head_bytes:
                self.refuse(LunaError(errors.REQUEST_TIMEOUT, round(HEAD_S)))
            else:
                self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server, which sweeps its connections once a second."""

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_PER_SWEEP == 0:
            now = time.monotonic()
            connections: Sequence[Any] = tuple(self.server_state.connections)
            for connection in connections:
                if isinstance(connection, Protocol):
                    connection.sweep(now)
        return await super().on_tick(counter)
