"""Slow, silent, numerous and disconnected clients over real sockets."""

import contextlib
import http.client
import json
import socket
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from apps.common import errors
from apps.common.addresses import address
from apps.common.bodies import IN_MEMORY_BYTES, BodyStore, bodies
from apps.common.config import Directories, config
from apps.common.errors import LunaError
from luna.http import lanes, protocol
from luna.http.application import RECOGNITION, WSGIPool
from luna.http.limits import Limits
from luna.web import raise_open_files
from tests.unit.luna.clients import LARGE_BYTES, Application, ask, connected, get, is_closed, until
from tests.ws.server import serving

LIMITS = Limits(threads=2, reserved_threads=1, max_body_bytes=50_000_000, queue_s=5.0)
PICTURE_PATHS = ("/6/sdk", "/6/handlers/1/events", "/6/detector")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(bytes(LARGE_BYTES))
    return path


@pytest.mark.parametrize("path", ["/large", "/file", "/stream"])
def test_clients_that_read_nothing_hold_no_thread(path: str, file: Path) -> None:
    application = Application(file)
    with serving(WSGIPool(application, LIMITS)) as port, contextlib.ExitStack() as stack:
        for _ in range(8):  # four times the threads, each with several requests
            stack.enter_context(connected(port, get(path) * 3, receive_buffer=2048))
        until(lambda: application.begun.count(path) == 8)
        assert ask(port, "/small")[0] == 200


@pytest.mark.parametrize("path", ["/large", "/file", "/stream", "/middle"])
def test_a_client_that_reads_nothing_loses_its_connection(
    path: str, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(protocol, "UNREAD_S", 0.2)
    application = Application(file)
    requests = 400 if path == "/middle" else 3
    with serving(WSGIPool(application, LIMITS)) as port:
        client = connected(port, receive_buffer=2048)
        sender = threading.Thread(target=lambda: _send_all(client, get(path) * requests), daemon=True)
        sender.start()
        until(lambda: application.begun)
        until(lambda: not _open_connections(port))
        client.close()
        sender.join(20)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def _send_all(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(data)


def _open_connections(port: int) -> list[str]:
    """Connections that the server has not closed, by the kernel: established (01) or left by the client (08)."""
    local = f"0100007F:{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return [line for line in lines if line.split()[1] == local and line.split()[3] in ("01", "08")]


@pytest.mark.parametrize("path", ["/large", "/file", "/stream"])
def test_a_slow_client_gets_every_byte(path: str, file: Path) -> None:
    with serving(WSGIPool(Application(file), LIMITS)) as port:
        status, body = ask(port, path)
        assert (status, len(body)) == (200, LARGE_BYTES)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nX-Slow: "], ids=["nothing", "half a head"])
def test_a_head_must_arrive_in_time(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.1)
    with serving(WSGIPool(Application(), LIMITS)) as port:
        client = connected(port, sent)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 408 " if sent else b"")
        client = connected(port, get("/small"))  # the second head of a connection has the same time
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
        client.sendall(b"GET / HT")
        assert is_closed(client)


def offering(offer: str) -> bytes:
    head = "POST /body HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 4\r\nHost: a"
    return f"{head}\r\n{offer}\r\nHTTP2-Settings: AAEA\r\n\r\nbody".encode()


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize("offer", ["Upgrade: h2c", "upgrade:h2c, h2", "Upgrade: TLS/1.0"])
def test_an_offer_of_another_protocol_loses_no_body(offer: str, piece: int) -> None:
    request = offering(offer)
    with serving(WSGIPool(Application(), LIMITS)) as port, connected(port) as client:
        for _ in range(2):
            for start in range(0, len(request), piece):
                client.sendall(request[start : start + piece])
            assert client.recv(65_536).endswith(b"\r\n\r\n4")


def test_the_body_of_a_pipelined_offer_is_no_request() -> None:
    application = Application()
    smuggled = offering("Upgrade: h2c") + offering("Upgrade: h2c").replace(b"4", b"40").replace(b"body", b"GET /other ")
    with serving(WSGIPool(application, LIMITS)) as port, connected(port, smuggled) as client:
        assert is_closed(client)
    assert "/other" not in application.begun


def test_a_body_that_arrives_with_its_head_is_no_part_of_the_head() -> None:
    body = bytes(150_000)
    request = f"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with serving(WSGIPool(Application(), LIMITS)) as port, connected(port, request) as client:
        assert client.recv(65_536).endswith(str(len(body)).encode())


def test_a_new_connection_takes_the_place_of_the_longest_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol.Protocol, "max_connections", 5)
    application = Application()
    with serving(WSGIPool(application, LIMITS)) as port:
        busy = connected(port, get("/wait"))
        until(lambda: application.begun)
        silent = [connected(port) for _ in range(4)]
        assert ask(port, "/small")[0] == 200
        assert is_closed(silent[0])
        application.release.set()
        assert busy.recv(65536).startswith(b"HTTP/1.1 200 OK")
        for client in (busy, *silent):
            client.close()


def test_where_every_connection_is_busy_a_new_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol.Protocol, "max_connections", 2)
    application = Application()
    with serving(WSGIPool(application, LIMITS)) as port:
        busy = [connected(port, get("/wait")) for _ in range(2)]
        until(lambda: len(application.begun) == 2)
        status, body = ask(port, "/small")
        assert (status, json.loads(body)["error_code"]) == (503, errors.SERVICE_BUSY)
        application.release.set()
        for client in busy:
            client.close()


def test_a_request_that_waits_too_long_gets_503_and_never_begins() -> None:
    application = Application()
    with serving(WSGIPool(application, replace(LIMITS, queue_s=0.1))) as port:
        busy = [connected(port, get("/wait")) for _ in range(2)]
        until(lambda: len(application.begun) == 2)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for _ in range(2):  # on one connection, which stays open
            client.request("POST", "/late", b"body")
            answer = client.getresponse()
            assert (answer.status, json.loads(answer.read())["error_code"]) == (503, errors.SERVICE_BUSY)
            assert answer.headers["Retry-After"] == "1"
        application.release.set()
        until(lambda: ask(port, "/small")[0] == 200)
        assert "/late" not in application.begun
        for each in busy:
            each.close()


def queued(pool: WSGIPool, count: int) -> bool:
    return pool.lane.waiting == count


@pytest.mark.parametrize(("overloaded_s", "order"), [(60.0, ["/a", "/b", "/c"]), (0.0, ["/c", "/b", "/a"])])
def test_an_overloaded_queue_is_served_newest_first(
    overloaded_s: float, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "OVERLOADED_S", overloaded_s)
    application = Application()
    pool = WSGIPool(application, replace(LIMITS, threads=1, queue_s=20))
    with serving(pool) as port:
        held = [connected(port, get("/wait"))]
        until(lambda: application.begun)
        for number, path in enumerate(("/a", "/b", "/c")):
            held.append(connected(port, get(path)))
            until(partial(queued, pool, number + 1))
        application.release.set()
        until(lambda: len(application.begun) == 4)
        assert application.begun[1:] == order
        for each in held:
            each.close()


def test_a_full_queue_is_said_at_once() -> None:
    application = Application()
    with serving(WSGIPool(application, replace(LIMITS, queue_length=1, queue_s=20))) as port:
        held = [connected(port, get("/wait")) for _ in range(2)]
        until(lambda: len(application.begun) == 2)
        held.append(connected(port, get("/queued")))
        until(lambda: ask(port, "/more")[0] == 503)
        application.release.set()
        assert held[2].recv(65536).startswith(b"HTTP/1.1 200 OK")
        assert application.begun.count("/more") == 0
        for each in held:
            each.close()


def test_the_request_of_a_client_that_left_never_begins() -> None:
    application = Application()
    with serving(WSGIPool(application, LIMITS)) as port:
        held = [connected(port, get("/wait")) for _ in range(2)]
        until(lambda: len(application.begun) == 2)
        for _ in range(5):
            connected(port, b"POST /gone HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok").close()
        until(lambda: len(_open_connections(port)) == 2)
        application.release.set()
        assert ask(port, "/small")[0] == 200
        assert "/gone" not in application.begun
        for each in held:
            each.close()


@pytest.mark.parametrize("path", ["/version", "/healthcheck", "/6/version", "/6/healthcheck"])
def test_version_and_health_answer_while_every_thread_is_busy(path: str) -> None:
    application = Application()
    with serving(WSGIPool(application, LIMITS)) as port:
        held = [connected(port, get("/wait")) for _ in range(20)]
        until(lambda: len(application.begun) == 2)
        assert ask(port, path)[0] == 200
        assert application.begun == ["/wait", "/wait", path]
        application.release.set()
        for each in held:
            each.close()


def test_requests_with_pictures_leave_threads_for_others() -> None:
    application = Application()
    limits = replace(LIMITS, threads=1, recognition_threads=2, queue_s=20)
    with serving(WSGIPool(application, limits)) as port:
        application.slow = "/6/"
        held = [connected(port, get_post(path)) for path in PICTURE_PATHS]
        until(lambda: len(application.begun) == 2)
        application.slow = ""
        assert ask(port, "/6/faces")[0] == 200
        assert ask(port, "/6/handlers/1/events")[0] == 200  # read, not generated
        assert len(application.begun) == 4
        application.release.set()
        until(lambda: len(application.begun) == len(PICTURE_PATHS) + 2)
        for each in held:
            each.close()


def get_post(path: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("name", ["sdk", "iso", "liveness", "detector", "extractor"])
def test_every_resource_with_pictures_has_these_threads(name: str) -> None:
    assert RECOGNITION.fullmatch(address(name))
    assert RECOGNITION.fullmatch(address("handler_events", "00000000-0000-4000-b000-000000000146"))


def refuse(environ: dict[str, Any]) -> None:
    raise LunaError(errors.CREDENTIALS_REQUIRED)


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 40000000", b"Transfer-Encoding: chunked", b"Content-Encoding: gzip\r\nContent-Length: 500"],
)
@pytest.mark.parametrize("sends", [False, True], ids=["waits", "sends"])
def test_a_body_that_is_refused_is_not_received(head: bytes, sends: bool) -> None:
    application = Application()
    with serving(WSGIPool(application, LIMITS, check=refuse)) as port:
        client = connected(port, b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
        if sends:  # the answer must not be lost to a reset of the connection
            _send_all(client, b"10000\r\n" + bytes(65536) + b"\r\n" if b"chunked" in head else bytes(400))
        answer = client.recv(65536)
        while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
            answer += client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error_code"] == errors.CREDENTIALS_REQUIRED
        assert is_closed(client)
        assert application.begun == []


def test_small_bodies_are_not_asked_about_first() -> None:
    with serving(WSGIPool(Application(), LIMITS, check=refuse)) as port:
        assert ask(port, "/", "POST", b"x" * 1000) == (200, b"1000")


def test_unfinished_bodies_have_a_bound_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = BodyStore(tmp_path / "bodies", 3 * IN_MEMORY_BYTES)
    monkeypatch.setattr(bodies, "value", store)
    with serving(WSGIPool(Application(), LIMITS)) as port:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
        half = connected(port, head + bytes(2 * IN_MEMORY_BYTES))
        until(lambda: store.held_bytes == 2 * IN_MEMORY_BYTES)
        status, body = ask(port, "/", "POST", bytes(2 * IN_MEMORY_BYTES))
        assert (status, json.loads(body)["error_code"]) == (503, errors.SERVICE_BUSY)
        half.close()
        until(lambda: store.held_bytes == 0)
        assert ask(port, "/", "POST", bytes(2 * IN_MEMORY_BYTES)) == (200, str(2 * IN_MEMORY_BYTES).encode())
        until(lambda: store.held_bytes == 0)


def test_bodies_on_disk_are_below_var_and_have_no_name(tmp_path: Path) -> None:
    assert bodies().directory == config(Directories).var / "tmp"
    with BodyStore(tmp_path / "bodies", 10**7).new() as body:
        body.write(bytes(2 * IN_MEMORY_BYTES))
        where = Path(f"/proc/self/fd/{body.fileno()}").readlink()
        assert where.parent == tmp_path / "bodies"
        assert list((tmp_path / "bodies").iterdir()) == []  # a crash leaves nothing behind


def test_the_limit_of_open_files_is_raised() -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, before[1]), before[1]))
        assert raise_open_files() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
