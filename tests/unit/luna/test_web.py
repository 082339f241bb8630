"""What uvicorn answers by itself, on a real socket."""

import asyncio
import json
import socket

import pytest
import uvicorn

from luna.http.answers import Receive, Send
from luna.http.environ import Scope
from luna.http.limits import HEAD_LIMIT_BYTES
from luna.http.protocol import Protocol


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def exchange(request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to raw bytes, after which the client only listens."""

    async def talk() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(application, http=Protocol, lifespan="off", log_config=None)
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(request)
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            server.should_exit = True
            await serving
            return answer

    head, _, body = asyncio.run(talk()).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_requests_are_served() -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"a" * 60_000 + b"\r\n\r\n"
    assert exchange(request) == (200, b"ok")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"no HTTP at all\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"GET / HTTP/1.1\r\nX: " + b"a" * (HEAD_LIMIT_BYTES - 18),
    ],
    ids=["noise", "length", "two lengths", "endless header"],
)
def test_what_is_not_http_gets_the_error_body(request_bytes: bytes) -> None:
    status, body = exchange(request_bytes)
    assert (status, json.loads(body)["error_code"]) == (400, 12046)
