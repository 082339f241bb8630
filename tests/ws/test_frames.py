"""Frames as the Autobahn test suite sends them: the platform's server answers as bare uvicorn and RFC 6455 do.

An application that echoes messages is behind both servers. The suite itself needs Python 2.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from luna.http.protocol import Server
from luna.web import configuration

TEXT, BINARY, CLOSE, PING, PONG, CONTINUED, FIN = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0, 0x80
LARGE = 60_000
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
GREEK = "κόσμε".encode()
INVALID = GREEK + b"\xed\xa0\x80edited"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, reserved: int = 0, masked: bool = True) -> bytes:
    """A frame of a client, with an empty mask."""
    mask, size = 0x80 if masked else 0, len(data)
    head = bytes((FIN * fin | reserved | opcode,))
    length = bytes((mask | size,)) if size < 126 else bytes((mask | 126,)) + struct.pack("!H", size)
    return head + length + (bytes(4) if masked else b"") + data


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


END = closing(1000)
# By the number of the suite: the frames of the client, the messages that come back, and the codes of a close frame.
# After valid frames the client closes with 1000; cases of 7 contain their close.
CASES: dict[str, tuple[bytes, list[tuple[int, bytes]], set[int | None]]] = {
    "1.1.1 empty text": (frame(TEXT), [(TEXT, b"")], {1000}),
    "1.1.6 long text": (frame(TEXT, b"*" * LARGE), [(TEXT, b"*" * LARGE)], {1000}),
    "1.2.1 empty binary": (frame(BINARY), [(BINARY, b"")], {1000}),
    "1.2.3 binary": (frame(BINARY, b"\xfe" * 126), [(BINARY, b"\xfe" * 126)], {1000}),
    "2.1 ping": (frame(PING), [(PONG, b"")], {1000}),
    "2.4 ping of 125 bytes": (frame(PING, b"\xfe" * 125), [(PONG, b"\xfe" * 125)], {1000}),
    "2.5 ping of 126 bytes": (frame(PING, b"\xfe" * 126), [], {1002}),
    "2.7 unasked pong": (frame(PONG, b"x"), [], {1000}),
    "2.10 ten pings": (
        b"".join(frame(PING, bytes((number,))) for number in range(10)),
        [(PONG, bytes((number,))) for number in range(10)],
        {1000},
    ),
    "3.1 reserved bit": (frame(TEXT, b"x", reserved=0x40), [], {1002}),
    "3.5 reserved bits of a ping": (frame(PING, reserved=0x10), [], {1002}),
    "4.1.1 reserved opcode": (frame(0x3), [], {1002}),
    "4.2.1 reserved control opcode": (frame(0xB), [], {1002}),
    "5.1 fragmented ping": (frame(PING, b"a", fin=False), [], {1002}),
    "5.3 two fragments": (
        frame(TEXT, b"a", fin=False) + frame(CONTINUED, b"b"),
        [(TEXT, b"ab")],
        {1000},
    ),
    "5.6 ping between fragments": (
        frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(CONTINUED, b"b"),
        [(PONG, b"p"), (TEXT, b"ab")],
        {1000},
    ),
    "5.9 continuation of nothing": (frame(CONTINUED, b"a"), [], {1002}),
    "5.18 text within a text": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), [], {1002}),
    "6.2.1 UTF-8": (frame(TEXT, GREEK), [(TEXT, GREEK)], {1000}),
    "6.2.3 UTF-8 byte by byte": (
        b"".join(
            frame(CONTINUED if place else TEXT, GREEK[place : place + 1], fin=place == len(GREEK) - 1)
            for place in range(len(GREEK))
        ),
        [(TEXT, GREEK)],
        {1000},
    ),
    "6.3.1 invalid UTF-8": (frame(TEXT, INVALID), [], {1007}),
    "6.3.2 invalid UTF-8 in fragments": (
        frame(TEXT, INVALID[:12], fin=False) + frame(CONTINUED, INVALID[12:]),
        [],
        {1007},
    ),
    "7.1.3 nothing behind a close": (END + frame(PING, b"b"), [], {1000}),
    "7.3.1 close without a code": (frame(CLOSE), [], {1000, None}),
    "7.3.2 close of one byte": (frame(CLOSE, b"a"), [], {1002}),
    "7.3.5 close with a reason": (closing(1000, b"*" * 123), [], {1000}),
    "7.3.6 too long a reason": (closing(1000, b"*" * 124), [], {1002}),
    "7.5.1 reason that is no UTF-8": (closing(1000, INVALID), [], {1002, 1007}),
    "7.7.3 close 1007": (closing(1007), [], {1007}),
    "7.7.12 close of an application": (closing(4999), [], {4999}),
    "7.9.1 close 0": (closing(0), [], {1002}),
    "7.9.4 close 1005": (closing(1005), [], {1002}),
    "unmasked frame": (frame(TEXT, b"a", masked=False), [], {1002}),
    "9 too large a message": (
        frame(BINARY, b"x" * 65_535, fin=False) + frame(CONTINUED, b"x" * 65_535),
        [],
        {1009},
    ),
}


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    """The ports of the platform's server and of bare uvicorn with the same bound of a message."""
    bare = uvicorn.Config(echo, lifespan="off", log_config=None, ws_max_size=64 * 1024)
    servers = [Server(configuration(echo)), uvicorn.Server(bare)]
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in servers]
    threads = [
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        for server, listener in zip(servers, listeners, strict=True)
    ]
    for thread in threads:
        thread.start()
    while not all(server.started for server in servers):
        assert all(thread.is_alive() for thread in threads)
        threads[0].join(0.01)
    first, second = (listener.getsockname()[1] for listener in listeners)
    yield first, second
    for server, thread in zip(servers, threads, strict=True):
        server.should_exit = True
        thread.join(10)


def answered(port: int, sent: bytes, messages: int | None) -> tuple[list[tuple[int, bytes]], int | None]:
    """Send frames, and close after so many answers. Return them, and the code of the close frame, None without one."""
    frames: list[tuple[int, bytes]] = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client, client.makefile("rb") as stream:
        client.sendall(HANDSHAKE)
        while stream.readline() != b"\r\n":
            pass
        client.sendall(sent)
        while True:
            if len(frames) == messages:
                client.sendall(END)
                messages = None
            opcode, size = stream.read(2)
            if size == 126:
                (size,) = struct.unpack("!H", stream.read(2))
            data = stream.read(size)
            if opcode & 0x0F == CLOSE:
                return frames, struct.unpack("!H", data[:2])[0] if data else None
            frames.append((opcode & 0x0F, data))


@pytest.mark.parametrize("case", CASES)
def test_frames_are_answered_as_by_bare_uvicorn(ports: tuple[int, int], case: str) -> None:
    sent, expected, codes = CASES[case]
    messages = len(expected) if codes == {1000} and not case.startswith("7") else None
    ours, bare = (answered(port, sent, messages) for port in ports)
    assert ours == bare
    frames, code = ours
    assert frames == expected
    assert code in codes
