"""Raw connections to a server, and an application with large and slow answers."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

LARGE_BYTES = 30_000_000
SIZES = {"/large": LARGE_BYTES, "/stream": LARGE_BYTES, "/middle": 50_000}


class Application:
    """A WSGI application: `/large`, `/file` and `/stream` answer with 30 MB, `/wait` when it is let go."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.begun: list[str] = []
        self.release = threading.Event()
        self.slow = ""  # where paths begin that wait, too

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.begun.append(path)
        if path == "/wait" or (self.slow and path.startswith(self.slow)):
            self.release.wait(30)
        if path == "/file":
            start_response("200 OK", [("Content-Length", str(LARGE_BYTES))])
            assert self.file is not None
            return environ["wsgi.file_wrapper"](self.file.open("rb"))
        body = str(environ["CONTENT_LENGTH"]).encode()
        if path in SIZES:
            body = bytes(SIZES[path])
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return Pieces(body) if path == "/stream" else [body]


class Pieces:
    streaming = True

    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        yield from (self.body[place : place + 100_000] for place in range(0, len(self.body), 100_000))


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def connected(port: int, sent: bytes = b"", *, receive_buffer: int = 0) -> socket.socket:
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    client.sendall(sent)
    return client


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def ask(port: int, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    client.request(method, path, body)
    answer = client.getresponse()
    content = answer.read()
    client.close()
    return answer.status, content


def is_closed(client: socket.socket) -> bool:
    """Return whether the server has closed the connection, after reading all sent data."""
    client.settimeout(20)
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        return True
    return True
