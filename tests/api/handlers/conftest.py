"""Real photographs, real networks, and what one account has stored."""

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from django.conf import settings
from django.test import Client
from PIL import Image
from skimage import data as photographs

from apps.accounts.models import Account
from apps.common.config import Directories, config
from apps.events.models import Event, EventDescriptor
from apps.faces.models import Face, FaceDescriptor, ListFace
from apps.imagestore.models import StoredObject
from apps.recognition.networks.samples import sample_photographs
from tests.factories import client_of, make_account

JSON = "application/json"
JPEG = "image/jpeg"


@dataclass(frozen=True)
class Stored:
    """How much there is of everything that a request can store."""

    events: int
    event_descriptors: int
    faces: int
    face_descriptors: int
    links: int
    objects: int
    files: int
    keys: int


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


@pytest.fixture
def stored(redis_client: "redis.Redis", db: None) -> Callable[[], Stored]:
    """Counts rows, files and keys."""
    folder = Path(settings.STORAGES["default"]["OPTIONS"]["location"])

    def count() -> Stored:
        return Stored(
            events=Event.objects.unscoped().count(),
            event_descriptors=EventDescriptor.objects.count(),
            faces=Face.objects.unscoped().count(),
            face_descriptors=FaceDescriptor.objects.count(),
            links=ListFace.objects.count(),
            objects=StoredObject.objects.unscoped().count(),
            files=sum(path.is_file() for path in folder.rglob("*")),
            keys=len(redis_client.keys("luna:attribute:*")),
        )

    return count


@cache
def astronaut() -> bytes:
    """One face, 512×512."""
    return encoded(Image.fromarray(photographs.astronaut()))


@cache
def sample(number: int) -> bytes:
    """Photograph 1..6 of the sample package."""
    return sample_photographs(config(Directories).cache)[number - 1].read_bytes()


@cache
def nobody() -> bytes:
    """A picture without a face."""
    return encoded(Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (256, 1))).convert("RGB"))


def encoded(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def make_handler(client: Client, policies: Any = None, **body: Any) -> str:
    """Its path."""
    answer = client.post("/6/handlers", {"policies": policies or {}, **body} if policies != "dynamic" else body, JSON)
    assert answer.status_code == 201, answer.json()
    url: str = answer.json()["url"]
    return url


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
