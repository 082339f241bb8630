"""File servers on loopback for tests: FTP (pyftpdlib), SMB 2 (impacket) and HTTP, each in threads of this process."""

import functools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from impacket.ntlm import compute_lmhash, compute_nthash
from impacket.smbserver import SimpleSMBServer
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.ioloop import IOLoop
from pyftpdlib.servers import FTPServer

from tests.ports import free_port

USER, PASSWORD = "anna", "secret"
SHARE = "PICTURES"


class _NoMlsd(FTPHandler):
    """A server without MLSD, as vsftpd."""

    proto_cmds = {name: value for name, value in FTPHandler.proto_cmds.items() if name not in ("MLSD", "MLST")}


@contextmanager
def ftp_server(folder: Path, *, mlsd: bool = True, sessions: int = 0) -> Iterator[int]:
    """The port of a server of `folder`. `sessions`: the most connections, 0 for any number."""
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(folder))
    kind = type("Handler", (FTPHandler if mlsd else _NoMlsd,), {"authorizer": authorizer, "auth_failed_timeout": 0.1})
    server = FTPServer(("127.0.0.1", 0), kind, ioloop=IOLoop())  # the default loop is shared
    server.max_cons = sessions
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            server.ioloop.loop(timeout=0.01, blocking=False)  # `serve_forever` logs each call
        server.close_all()

    with _served(serve, ended.set):
        yield server.address[1]


@contextmanager
def smb_server(folder: Path, *, guests: bool = False) -> Iterator[int]:
    """The port of a server with the share `SHARE`. `guests`: whether anybody may read it; else `USER` only."""
    port = free_port()
    server = SimpleSMBServer(listenAddress="127.0.0.1", listenPort=port)
    server.addShare(SHARE, str(folder), "")
    server.setSMB2Support(True)
    if not guests:
        server.addCredential(USER, 0, compute_lmhash(PASSWORD), compute_nthash(PASSWORD))
    tcp: Any = server._SimpleSMBServer__server
    with _served(tcp.serve_forever, lambda: (tcp.shutdown(), tcp.server_close())):
        yield port


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Silent."""


@contextmanager
def http_server(folder: Path) -> Iterator[str]:
    """The address of a server of `folder`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    with _served(server.serve_forever, lambda: (server.shutdown(), server.server_close())):
        yield f"http://127.0.0.1:{server.server_port}"


@contextmanager
def silent_server(*greetings: bytes) -> Iterator[int]:
    """The port of a server that sends the greetings, each after a line of the client, and then nothing more."""

    def talk(client: socket.socket, held: list[socket.socket]) -> None:
        for number, greeting in enumerate(greetings):
            if number and not client.recv(4096):
                return
            client.sendall(greeting)

    with _accepting(talk) as port:
        yield port


@contextmanager
def stalling_proxy(port: int, stalled: threading.Event) -> Iterator[int]:
    """The port of a proxy of a local server that keeps what arrives, without passing it on, once `stalled` is set."""

    def talk(client: socket.socket, held: list[socket.socket]) -> None:
        server = socket.create_connection(("127.0.0.1", port))
        held.append(server)
        threading.Thread(target=passed, args=(server, client), daemon=True).start()
        passed(client, server)

    def passed(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if not stalled.is_set():
                    other.sendall(data)

    with _accepting(talk) as own_port:
        yield own_port


@contextmanager
def _accepting(talk: Callable[[socket.socket, list[socket.socket]], None]) -> Iterator[int]:
    """The port of a server with a thread for each client: `talk(client, held)`. All of `held` is closed at the end."""
    held: list[socket.socket] = []

    def served(client: socket.socket) -> None:
        with suppress(OSError):
            talk(client, held)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                held.append(client)
                threading.Thread(target=served, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            for each in held:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)  # a close alone does not end `recv` in another thread
                each.close()


class _Refusing(BaseHTTPRequestHandler):
    """Answers with 503."""

    server: "_RefusingServer"

    def do_GET(self) -> None:
        self.server.refused += 1
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""


class _RefusingServer(ThreadingHTTPServer):
    refused = 0


@contextmanager
def refusing_server() -> Iterator[_RefusingServer]:
    """A server that answers every request with 503, and counts them."""
    server = _RefusingServer(("127.0.0.1", 0), _Refusing)
    with _served(server.serve_forever, lambda: (server.shutdown(), server.server_close())):
        yield server


@contextmanager
def _served(serve: Any, close: Any) -> Iterator[None]:
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        close()
        thread.join(5)
