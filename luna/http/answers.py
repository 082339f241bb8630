"""Answers of the WSGI application: made in a thread, sent by the event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from apps.common.errors import LunaError
from apps.common.request_id import HEADER, current_request_id
from luna.http.lanes import Left

Message = dict[str, Any]
Send = Callable[[Message], Any]
Receive = Callable[[], Awaitable[Message]]
WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# So much is handed to the connection at a time; the next piece follows when the client has taken it.
CHUNK_BYTES = 128 * 1024
LINGER_S = 2.0


class FileSource:
    """WSGI's `file_wrapper`: the bytes of a file, read piece by piece."""

    streaming = True

    def __init__(self, file: Any, block_size: int = CHUNK_BYTES) -> None:
        self._file = file

    def read(self) -> bytes:
        return bytes(self._file.read(CHUNK_BYTES))

    def close(self) -> None:
        self._file.close()


class IteratorSource:
    """The pieces of a streaming answer that is no file."""

    def __init__(self, response: Iterable[bytes]) -> None:
        self._response = response
        self._pieces: Iterator[bytes] = iter(response)

    def read(self) -> bytes:
        return next((piece for piece in self._pieces if piece), b"")

    def close(self) -> None:
        getattr(self._response, "close", lambda: None)()


class Answer:
    """One answer of the WSGI application: its head, and its body or the source of it."""

    def __init__(self, application: WSGIApplication, environ: dict[str, Any]) -> None:
        """Run the application, in a thread of a pool."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.source: FileSource | IteratorSource | None = None
        response = application(environ, self._start_response)
        if getattr(response, "streaming", False):
            self.source = response if isinstance(response, FileSource) else IteratorSource(response)
            return
        try:
            self.body = b"".join(response)
        finally:
            getattr(response, "close", lambda: None)()
        if not any(name == b"content-length" for name, _ in self.headers):
            self.headers.append((b"content-length", b"%d" % len(self.body)))

    @property
    def is_small(self) -> bool:
        """Return whether the body is complete and fits one piece."""
        return self.source is None and len(self.body) <= CHUNK_BYTES

    @property
    def error_code(self) -> int | None:
        """The code in an error body; None for other bodies."""
        if (b"content-type", b"application/json") not in self.headers:
            return None
        try:
            code = orjson.loads(self.body).get("error_code")
        except (ValueError, AttributeError):
            return None
        return code if isinstance(code, int) else None

    def _start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """WSGI's callback: keeps the status and headers. Django never uses the `write` that it may return."""
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]

    async def deliver(self, send: Send, left: Left, readers: ThreadPoolExecutor) -> None:
        """Send everything at the client's pace; the protocol ends connections that take too little.

        A thread of `readers` reads a piece of a source and is free again while the client takes it.
        """
        loop = asyncio.get_running_loop()
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        if self.is_small:
            await send({"type": "http.response.body", "body": self.body})
        elif self.source is None:
            view = memoryview(self.body)
            for place in range(0, len(view), CHUNK_BYTES):
                if not left():
                    await _send_piece(send, bytes(view[place : place + CHUNK_BYTES]))
            await send({"type": "http.response.body", "body": b""})
        else:
            try:
                while not left() and (piece := await loop.run_in_executor(readers, self.source.read)):
                    await _send_piece(send, piece)
                if not left():
                    await send({"type": "http.response.body", "body": b""})
            finally:
                await loop.run_in_executor(readers, self.source.close)


async def _send_piece(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


def error_answer(error: LunaError, request_id: str, *, close: bool) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of an error that is answered without Django; with `close` it ends the connection."""
    body = orjson.dumps(error.body())
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        HEADER.lower(): request_id,
        **{name.lower(): value for name, value in error.headers.items()},
        **({"connection": "close"} if close else {}),
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()], body


async def send_error(send: Send, receive: Receive, error: LunaError, *, unread: bool) -> None:
    """Answer with an error without Django. `unread`: more of the body may be coming, which ends the connection."""
    headers, body = error_answer(error, current_request_id.get(), close=unread)
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": unread})
    if unread:
        # A socket that is closed with unread bytes resets the connection, and the client loses the answer.
        try:
            async with asyncio.timeout(LINGER_S):
                while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                    pass
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b""})
