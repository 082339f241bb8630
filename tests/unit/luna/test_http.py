"""The bridge between ASGI and Django, driven message by message."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from luna.http.application import WSGIPool
from luna.http.limits import Limits

LIMIT = 1_000_000
ONE = Limits(threads=1, reserved_threads=1, max_body_bytes=LIMIT)


class Stream:
    """A WSGI answer that is sent in pieces."""

    streaming = True

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def close(self) -> None:
        self.closed = True


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Respond with the strings of the environment and the length of the body."""
    strings = {key: value for key, value in environ.items() if isinstance(value, str)}
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("201 Created", [("X-Answer", "yes")])
    return [json.dumps(strings | {"read": len(body), "rest": len(environ["wsgi.input"].read())}).encode()]


def ask(
    application: Callable[..., Any],
    *chunks: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
    path: bytes = b"/",
    query: bytes = b"",
    leaves: bool = False,
) -> list[dict[str, Any]]:
    """Everything that the client is sent for one request whose body comes in these chunks."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.disconnect"} if leaves else {"type": "http.request", "body": b""})
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "headers": headers or [],
        "server": ("127.0.0.1", 5000),
        "client": ("127.0.0.2", 40000),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(WSGIPool(application, ONE)(scope, receive, send))
    return sent


def echoed(*chunks: bytes, **request: Any) -> dict[str, Any]:
    head, body = ask(echo, *chunks, **request)
    assert head["status"] == 201
    assert head["headers"] == [(b"x-answer", b"yes"), (b"content-length", str(len(body["body"])).encode())]
    return json.loads(body["body"])


@pytest.mark.parametrize("size", [0, 1, 300_000, LIMIT])
def test_a_body_without_announced_length_arrives_whole(size: int) -> None:
    half = size // 2
    seen = echoed(b"x" * half, b"y" * (size - half), headers=[(b"transfer-encoding", b"chunked")])
    assert (seen["CONTENT_LENGTH"], seen["read"], seen["rest"]) == (str(size), size, 0)


def test_a_request_becomes_a_wsgi_environment() -> None:
    seen = echoed(
        path=b"/6/f%C3%A4ces/%2f",
        query="name=ä&x=%20".encode(),
        headers=[
            (b"content-type", b"text/plain"),
            (b"luna-account-id", b"mine"),
            (b"luna_account_id", b"forged"),
            (b"accept", b"a"),
            (b"accept", b"b"),
            (b"cookie", b"c=1"),
            (b"cookie", b"d=2"),
        ],
    )
    expected = {
        "PATH_INFO": "/6/fäces//".encode().decode("latin-1"),
        "QUERY_STRING": "name=ä&x=%20".encode().decode("latin-1"),
        "CONTENT_TYPE": "text/plain",
        "HTTP_LUNA_ACCOUNT_ID": "mine",
        "HTTP_ACCEPT": "a,b",
        "HTTP_COOKIE": "c=1; d=2",
        "REMOTE_ADDR": "127.0.0.2",
        "SERVER_PORT": "5000",
    }
    assert {key: seen[key] for key in expected} == expected


def never(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    raise AssertionError("the application was called")


@pytest.mark.parametrize(
    ("chunks", "length", "status", "code"),
    [
        ([], b"2000000000", 413, 37003),
        ([b"x" * 600_000, b"x" * 600_000], None, 413, 37003),
        ([], b"many", 400, 12046),
        ([], b"-1", 400, 12046),
    ],
)
def test_a_body_that_is_refused_never_reaches_the_application(
    chunks: list[bytes], length: bytes | None, status: int, code: int
) -> None:
    request_id = b"1700000000,12345678-1234-4234-8234-123456789abc"
    headers = [(b"luna-request-id", request_id)] + ([(b"content-length", length)] if length else [])
    head, body, end = ask(never, *chunks, headers=headers)
    assert end["body"] == b""  # sent when the rest of the body has been read, which closes the connection
    assert head["status"] == status
    assert (b"connection", b"close") in head["headers"]
    assert (b"luna-request-id", request_id) in head["headers"]
    assert json.loads(body["body"])["error_code"] == code


def test_a_crash_outside_django_is_an_error_body() -> None:
    head, body = ask(never)
    assert (head["status"], json.loads(body["body"])["error_code"]) == (500, 1)


def test_a_client_that_leaves_before_the_end_stores_nothing() -> None:
    assert ask(never, b"half", headers=[(b"content-length", b"8")], leaves=True) == []


@pytest.mark.parametrize(
    ("limits", "pause_s"),
    [
        (replace(ONE, body_silence_s=0.05), 60),
        (replace(ONE, body_s=0.1), 0.03),
        (replace(ONE, body_grace_s=0, body_bytes_s=1000), 0.02),
    ],
    ids=["silence", "total", "rate"],
)
def test_a_body_has_a_silence_a_total_time_and_a_rate(limits: Limits, pause_s: float) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause_s)
        return {"type": "http.request", "body": b"x", "more_body": not sent}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-length", b"800")]}
    asyncio.run(WSGIPool(never, limits)(scope, receive, send))
    assert (sent[0]["status"], json.loads(sent[1]["body"])["error_code"]) == (408, 37002)


def test_a_stream_is_sent_in_its_pieces_and_closed() -> None:
    stream = Stream([b"one", b"two"])

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Stream:
        start_response("200 OK", [])
        return stream

    messages = ask(application)
    assert [message["body"] for message in messages[1:]] == [b"one", b"two", b""]
    assert stream.closed
