"""Shared by the tests of the exporter and the reporter: a server of avatars, stored samples, read archives."""

import csv
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from uuid import UUID

from apps.accounts.models import Account
from apps.imagestore.choices import Bucket
from apps.imagestore.services import object_store
from tests.tasks_run import Outcome

JPEG = b"\xff\xd8 bytes of a picture "


class Avatars(BaseHTTPRequestHandler):
    """Serves pictures, and counts requests by path."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path.startswith("/page") else "image/png")
        self.end_headers()
        self.wfile.write(b"foreign " + self.path.encode())

    def log_message(self, *args: object) -> None:
        """Silent."""


@contextmanager
def avatar_server() -> Iterator[str]:
    """A server on this machine; yields its address."""
    Avatars.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Avatars)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def sample(account: Account, bucket: str = Bucket.FACE_SAMPLES, data: bytes = JPEG) -> UUID:
    return object_store(
        bucket=bucket, account_id=account.account_id, data=data, content_type="image/jpeg"
    ).object_id  # fmt: skip


def unpacked(outcome: Outcome, table: str) -> tuple[list[dict[str, str]], dict[str, bytes]]:
    """The rows of the table, and the pictures by name."""
    assert outcome.data is not None
    with zipfile.ZipFile(io.BytesIO(outcome.data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len({*names})
        assert names[0] == table
        text = archive.read(table).decode()
        pictures = {name.removeprefix("images/"): archive.read(name) for name in names[1:]}
    return [*csv.DictReader(io.StringIO(text, newline=""))], pictures


def lines(outcome: Outcome, table: str) -> list[str]:
    assert outcome.data is not None
    with zipfile.ZipFile(io.BytesIO(outcome.data)) as archive:
        return archive.read(table).decode().splitlines()


def members(outcome: Outcome) -> list[tuple[Any, ...]]:
    """The names, times and checksums of all entries."""
    assert outcome.data is not None
    with zipfile.ZipFile(io.BytesIO(outcome.data)) as archive:
        return [(each.filename, each.date_time, each.CRC, each.file_size) for each in archive.infolist()]
