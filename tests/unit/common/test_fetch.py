"""Downloads by URL: rejections, and bounds of time and size."""

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from apps.common import fetch as fetch_module
from apps.common.fetch import FetchError, Timeouts, fetch, is_public


class Handler(BaseHTTPRequestHandler):
    gate = threading.Event()

    def do_GET(self) -> None:
        getattr(self, f"answer_{self.path.partition('?')[0].strip('/').partition('/')[0]}")()

    def answer_image(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "Image/PNG; q=1")
        self.end_headers()
        self.wfile.write(b"picture")

    def answer_redirect(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.path.removeprefix("/redirect/"))
        self.end_headers()

    def answer_loop(self) -> None:
        self.send_response(301)
        self.send_header("Location", "/loop")
        self.end_headers()

    def answer_endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 4096)

    def answer_slow(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(100):
            self.wfile.write(b"x")
            time.sleep(0.05)

    def answer_slowheaders(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100):
            self.wfile.write(b"X-%d: y\r\n" % number)
            time.sleep(0.05)

    def answer_silent(self) -> None:
        self.send_response(200)
        self.end_headers()
        time.sleep(2)

    def answer_large(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000000000")
        self.end_headers()

    def answer_packed(self) -> None:
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()

    def answer_gated(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"x")
        self.gate.wait(60)

    def answer_missing(self) -> None:
        self.send_error(404)

    def log_message(self, *args: object) -> None:
        """Silent."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            """The client hung up, as these tests mean it to."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def get(url: str) -> bytes:
    return fetch(url, max_bytes=100_000, timeouts=Timeouts(0.5), allow_private=True).data


def test_an_answer_comes_with_its_content_type(origin: str) -> None:
    answer = fetch(f"{origin}/image", max_bytes=7, timeouts=Timeouts(10), allow_private=True)
    assert (answer.data, answer.content_type) == (b"picture", "image/png")


def test_redirects_are_followed(origin: str) -> None:
    assert get(f"{origin}/redirect//image") == b"picture"
    assert get(f"{origin}/redirect/{origin}/image") == b"picture"


def test_what_an_address_holds_is_not_logged(origin: str, caplog: pytest.LogCaptureFixture) -> None:
    """Presigned URLs and webhooks contain secrets, which must not be in logs."""
    with caplog.at_level(logging.INFO):
        get(f"{origin}/redirect//image?signature=7f3a")
        with pytest.raises(FetchError) as refused:
            get(f"{origin}/missing?signature=7f3a")
    assert "7f3a" not in caplog.text + str(refused.value)


@pytest.mark.parametrize(
    "path",
    [
        "loop",
        "endless",
        "large",
        "packed",
        "missing",
        "redirect/file:///etc/passwd",
        "redirect/gopher://127.0.0.1/",
        "redirect/http://[::1",
        "redirect/http://[",
        "redirect/http://x:99999999/",
        "redirect/http://\u00e9\u00e9/",
    ],
)
def test_bad_answers_are_refused(origin: str, path: str) -> None:
    with pytest.raises(FetchError):
        get(f"{origin}/{path}")


@pytest.mark.parametrize("path", ["slow", "slowheaders"])
def test_the_deadline_spans_the_whole_download(origin: str, path: str) -> None:
    with pytest.raises(FetchError, match="ReadTimeout"):  # the whole answer, of 5 s, would raise none
        get(f"{origin}/{path}")


def test_a_server_without_data_is_left_before_the_deadline(origin: str) -> None:
    with pytest.raises(FetchError, match="ReadTimeout"):  # the server ends its answer after 2 s
        fetch(f"{origin}/silent", max_bytes=100, timeouts=Timeouts(60, silence_s=0.2), allow_private=True)


def test_a_server_that_accepts_no_connection_is_left_before_the_deadline() -> None:
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for queued in (first, second):  # a full queue: Linux answers no further connection
            queued.setblocking(False)
            queued.connect_ex(server.getsockname())
        start = time.monotonic()
        with pytest.raises(FetchError, match="ConnectTimeout"):
            fetch(
                f"http://127.0.0.1:{server.getsockname()[1]}/",
                max_bytes=100,
                timeouts=Timeouts(60, connect_s=0.2),
                allow_private=True,
            )
        assert time.monotonic() - start < 30


def answers_of(*addresses: str) -> Callable[..., list[Any]]:
    """A name server that gives the next of these addresses each time it is asked, whatever the name."""
    left = iter(addresses)
    real = socket.getaddrinfo

    def answer(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        named = host if host[0].isdigit() else next(left)
        return real(named, port, *args, **kwargs)

    return answer


def test_a_name_that_changes_its_address_is_asked_once(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection uses the checked address, because a second look-up may differ (DNS rebinding)."""
    monkeypatch.setattr(socket, "getaddrinfo", answers_of("127.0.0.1"))  # a second question is StopIteration
    monkeypatch.setattr(fetch_module, "is_public", lambda address: str(address) == "127.0.0.1")
    port = origin.rpartition(":")[2]
    assert fetch(f"http://rebinding.test:{port}/image", max_bytes=100, timeouts=Timeouts(10)).data == b"picture"


def test_a_name_is_checked_again_after_a_redirect(origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers_of("127.0.0.1", "127.0.0.2"))
    monkeypatch.setattr(fetch_module, "is_public", lambda address: str(address) == "127.0.0.1")
    port = origin.rpartition(":")[2]
    with pytest.raises(FetchError, match=r"127\.0\.0\.2, which is not public"):
        fetch(f"http://a.test:{port}/redirect/http://b.test:{port}/image", max_bytes=100, timeouts=Timeouts(10))


def test_a_name_with_one_private_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 80)) for text in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answers)
    with pytest.raises(FetchError, match=r"10\.0\.0\.1, which is not public"):
        fetch("http://both.test/", max_bytes=100, timeouts=Timeouts(10))


def test_private_addresses_are_refused_unless_allowed(origin: str) -> None:
    with pytest.raises(FetchError, match="not public"):
        fetch(f"{origin}/image", max_bytes=100, timeouts=Timeouts(10))
    with pytest.raises(FetchError, match="not public"):
        fetch(origin.replace("127.0.0.1", "localhost") + "/image", max_bytes=100, timeouts=Timeouts(10))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "ftp://example.org/a",
        "http://",
        "//example.org",
        "http://[::1",
        "http://a:99999/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://user@127.0.0.1/",
        "http://[::ffff:7f00:1]/",
        "http://a\r\nb/",
    ],
)
def test_bad_addresses_are_refused(url: str) -> None:
    with pytest.raises(FetchError):
        fetch(url, max_bytes=100, timeouts=Timeouts(1))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1", True), ("64:ff9b::8.8.8.8", True),
        ("127.0.0.1", False), ("10.1.2.3", False), ("192.168.0.1", False), ("169.254.169.254", False),
        ("100.64.0.1", False), ("0.0.0.1", False), ("224.0.0.1", False), ("::1", False), ("fe80::1", False),
        ("fc00::1", False), ("::ffff:10.0.0.1", False), ("2002:a00:1::", False), ("64:ff9b::10.0.0.1", False),
        ("::127.0.0.1", False), ("::ffff:0:10.0.0.1", False), ("64:ff9b:1::10.0.0.1", False), ("fec0::1", False),
        ("2001::1", False), ("2001:db8::1", False), ("ff0e::1", False), ("5f00::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


class TestSend:
    """Requests whose whole response matters, whatever its status."""

    def send(self, url: str, **arguments: Any) -> Any:
        given = {"max_bytes": 1000, "timeouts": Timeouts(5), "allow_private": True, **arguments}
        return fetch_module.send("GET", url, body=b"", headers={"User-Agent": "luna"}, **given)

    def test_response(self, origin: str) -> None:
        answer = self.send(f"{origin}/image")
        assert (answer.status, answer.data, answer.headers["content-type"]) == (200, b"picture", "Image/PNG; q=1")
        assert self.send(f"{origin}/missing").status == 404
        assert self.send(f"{origin}/redirect/http://127.0.0.1/").status == 302  # not followed

    @pytest.mark.parametrize("path", ["large", "endless"])
    def test_too_large(self, origin: str, path: str) -> None:
        with pytest.raises(fetch_module.TooLargeError):
            self.send(f"{origin}/{path}")

    def test_private_addresses(self, origin: str) -> None:
        with pytest.raises(fetch_module.RefusedError):
            self.send(f"{origin}/image", allow_private=False)


def test_stream_yields_a_body_while_it_is_received(origin: str) -> None:
    with fetch_module.stream(f"{origin}/gated", max_bytes=1000, timeouts=Timeouts(20), allow_private=True) as body:
        assert next(body.chunks) == b"x"  # the server has not ended the body
        Handler.gate.set()
        assert list(body.chunks) == []
    assert body.declared is None
