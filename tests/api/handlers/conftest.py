"""Fixtures: real photographs, real networks, and stored objects of one account."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.test import Client

from apps.accounts.models import Account
from tests.api.handlers.helpers import JPEG, astronaut
from tests.factories import client_of


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


class Photographs(BaseHTTPRequestHandler):
    """The astronaut, and a text."""

    def do_GET(self) -> None:
        is_text = self.path.endswith(".txt")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if is_text else JPEG)
        self.end_headers()
        self.wfile.write(b"text" if is_text else astronaut())

    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture
def live_photograph() -> Iterator[str]:
    """The URL of a photograph on a server of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Photographs)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/astronaut"
    server.shutdown()
    server.server_close()
