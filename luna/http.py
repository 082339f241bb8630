"""HTTP of the ASGI application: Django's WSGI side in a fixed pool of threads.

Database connections live in those threads, so their number is fixed too. A request gets a thread only when its
body has arrived: slow uploads hold none. Bodies of any size stay bounded in memory.
"""

import asyncio
import logging
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any
from urllib.parse import unquote_to_bytes

import orjson

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.request_id import HEADER, accept_request_id

logger = logging.getLogger(__name__)

# Larger bodies go to a temporary file.
BODY_IN_MEMORY_BYTES = 256 * 1024
# Longest silence of a client that sends a body or takes an answer in pieces.
CLIENT_TIMEOUT_S = 60

Scope = dict[str, Any]
Message = dict[str, Any]
WSGIApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class WSGIPool:
    """An ASGI application that answers HTTP with a WSGI application in `threads` threads."""

    def __init__(self, application: WSGIApplication, *, threads: int, max_body_bytes: int) -> None:
        self.application = application
        self.max_body_bytes = max_body_bytes
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="http")

    async def __call__(self, scope: Scope, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        with tempfile.SpooledTemporaryFile(BODY_IN_MEMORY_BYTES) as body:
            try:
                complete = await self._receive_body(scope, receive, body)
            except LunaError as error:
                await send_error(send, scope, error)
                return
            if complete:
                await self._answer(environment(scope, body), scope, send)

    async def _answer(self, environ: dict[str, Any], scope: Scope, send: Callable[..., Any]) -> None:
        loop = asyncio.get_running_loop()
        answer = Answer(self.application, loop, send)
        try:
            messages = await loop.run_in_executor(self.threads, answer.make, environ)
        except Exception:
            if answer.begun:  # the server closes the connection: the client sees that the answer is cut
                raise
            logger.exception("unhandled exception on %s %s", scope["method"], scope["path"])
            await send_error(send, scope, LunaError(errors.INTERNAL_ERROR))
            return
        for message in messages:
            await send(message)

    async def _receive_body(self, scope: Scope, receive: Callable[..., Any], body: IO[bytes]) -> bool:
        """Take the body in; False when the client left before its end. Raises LunaError REQUEST_TIMEOUT,
        PAYLOAD_TOO_LARGE, INVALID_REQUEST.
        """
        announced = header(scope, b"content-length")
        if announced and not announced.isdigit():
            raise LunaError(errors.INVALID_REQUEST, "header `Content-Length` must be a number")
        if announced and int(announced) > self.max_body_bytes:
            raise LunaError(errors.PAYLOAD_TOO_LARGE)
        more = True
        while more:
            try:
                async with asyncio.timeout(CLIENT_TIMEOUT_S):  # not `wait_for`, which makes a task of every piece
                    message = await receive()
            except TimeoutError:
                raise LunaError(errors.REQUEST_TIMEOUT, CLIENT_TIMEOUT_S) from None
            if message["type"] == "http.disconnect":
                return False
            body.write(message.get("body", b""))
            if body.tell() > self.max_body_bytes:
                raise LunaError(errors.PAYLOAD_TOO_LARGE)
            more = message.get("more_body", False)
        return True


class Answer:
    """One answer of the WSGI application, made in a thread of the pool."""

    def __init__(self, application: WSGIApplication, loop: asyncio.AbstractEventLoop, send: Callable[..., Any]) -> None:
        self.application = application
        self.loop = loop
        self.send = send
        self.head: Message = {}
        self.begun = False

    def make(self, environ: dict[str, Any]) -> list[Message]:
        """Run the application. Returns what is left to send: everything, unless the answer was a stream."""
        response = self.application(environ, self.start_response)
        try:
            if not getattr(response, "streaming", False):
                body = b"".join(response)
                if not any(name == b"content-length" for name, _ in self.head["headers"]):
                    self.head["headers"].append((b"content-length", str(len(body)).encode()))
                return [self.head, {"type": "http.response.body", "body": body}]
            self.begun = True
            self.deliver(self.head)
            for chunk in response:
                self.deliver({"type": "http.response.body", "body": chunk, "more_body": True})
            return [{"type": "http.response.body", "body": b""}]
        finally:
            getattr(response, "close", lambda: None)()

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """WSGI's callback: keeps the status and headers. Django never uses the `write` that it may return."""
        self.head = {
            "type": "http.response.start",
            "status": int(status.split(" ", 1)[0]),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        }

    def deliver(self, message: Message) -> None:
        """Send from this thread and wait: a slow reader slows the stream down, and loses it after a while."""
        future = asyncio.run_coroutine_threadsafe(self.send(message), self.loop)
        try:
            future.result(CLIENT_TIMEOUT_S)
        except TimeoutError:
            future.cancel()
            raise


def header(scope: Scope, name: bytes) -> str:
    """The value of a request header, empty when it is missing."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def environment(scope: Scope, body: IO[bytes]) -> dict[str, Any]:
    """The WSGI environment of an ASGI request whose whole body is in `body` (at its end)."""
    host, port = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "luna.headers": scope["headers"],  # as they came: WSGI cannot tell `_` from `-` in their names
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name:  # would be taken for the header of the same name with dashes
            continue
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if key in environ:
            value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
        environ[key] = value
    environ["CONTENT_LENGTH"] = str(body.tell())
    body.seek(0)
    return environ


def error_answer(error: LunaError, request_id: str | None = None) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of an error that is answered without Django; it ends the connection, more may be coming."""
    body = orjson.dumps(error.body())
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        HEADER.lower(): accept_request_id(request_id),
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()], body


async def send_error(send: Callable[..., Any], scope: Scope, error: LunaError) -> None:
    """Answer with an error without Django."""
    headers, body = error_answer(error, header(scope, HEADER.lower().encode()))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
