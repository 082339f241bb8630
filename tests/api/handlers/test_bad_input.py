"""What clients send that is no proper image: the right code, and nothing stored. And odd images that are proper."""

import base64
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from tests.api.handlers.helpers import JPEG, JSON, astronaut, encoded, make_handler, sample
from tests.api.helpers import Stored

pytestmark = pytest.mark.django_db
Count = Callable[[], Stored]
PATHS = ("events", "detector")


def path_of(kind: str, client: Client) -> str:
    return f"{make_handler(client)}/events" if kind == "events" else "/6/detector"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims this size and holds a few bytes of pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\x00" * 1000))
        + chunk(b"IEND", b"")
    )


def picture() -> Image.Image:
    return Image.open(io.BytesIO(astronaut()))


BAD_IMAGES: dict[str, tuple[bytes, str, int, int]] = {
    "empty": (b"", JPEG, 400, 12030),
    "truncated": (astronaut()[: len(astronaut()) // 2], JPEG, 400, 18003),
    "header only": (astronaut()[:20], JPEG, 400, 18003),
    "text": (b"This is no picture.\n" * 100, JPEG, 400, 18003),
    "html": (b"<html><body>not found</body></html>", "image/png", 400, 18003),
    "pdf": (b"%PDF-1.7\n" + b"x" * 1000, JPEG, 400, 18003),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/png", 400, 18003),
    "bomb": (png_header(60_000, 60_000), "image/png", 400, 100012),
    "wide bomb": (png_header(2**31 - 1, 1), "image/png", 400, 100012),
    "no pixels": (png_header(0, 0), "image/png", 400, 18003),
    "zeros": (bytes(17 * 1024**2), JPEG, 413, 37003),
    "some zeros": (bytes(1024**2), JPEG, 400, 18003),
    "wrong type": (astronaut(), "text/plain", 400, 12017),
    "no type": (astronaut(), "application/octet-stream", 400, 12017),
    "video": (astronaut(), "video/mp4", 400, 12017),
    "not base64": (astronaut(), "image/x-jpeg-base64", 400, 18001),
    "base64 of text": (base64.b64encode(b"text"), "image/x-jpeg-base64", 400, 18003),
    "base64 as bytes": (base64.b64encode(astronaut()), JPEG, 400, 18003),
    "image as json": (astronaut(), JSON, 400, 12002),
    "json as image": (b'{"urls": []}', JPEG, 400, 18003),
    "image as form": (astronaut(), "multipart/form-data; boundary=X", 400, 12046),
}


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images(client: Client, stored: Count, kind: str, name: str) -> None:
    data, content_type, status, code = BAD_IMAGES[name]
    path = path_of(kind, client)
    before = stored()
    answer = client.post(path, data, content_type, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert stored() == before


@pytest.mark.parametrize("kind", PATHS)
def test_the_same_in_a_form_is_each_images_own_error(client: Client, stored: Count, kind: str) -> None:
    cases = {
        name: case for name, case in BAD_IMAGES.items()
        if case[1] in (JPEG, "image/png", "image/x-jpeg-base64") and case[0]
    }  # fmt: skip
    path = path_of(kind, client)
    before = stored()
    for name, (data, content_type, _, code) in cases.items():
        answer = client.post(path, {"image": SimpleUploadedFile(name, data, content_type)})
        (image,) = answer.json()["images"]
        assert (answer.status_code, image["status"], image["error"]["error_code"]) == (201, 0, code), name
    assert stored() == before


FORMATS: dict[str, Callable[[], tuple[bytes, str]]] = {
    "png": lambda: (encoded(picture(), "PNG"), "image/png"),
    "bmp": lambda: (encoded(picture(), "BMP"), "image/bmp"),
    "tiff": lambda: (encoded(picture(), "TIFF"), "image/tiff"),
    "ppm": lambda: (encoded(picture(), "PPM"), "image/x-portable-pixmap"),
    "webp": lambda: (encoded(picture(), "WEBP"), "image/webp"),
    "base64": lambda: (base64.encodebytes(astronaut()), "image/x-jpeg-base64"),
    "png called jpeg": lambda: (encoded(picture(), "PNG"), JPEG),
    "cmyk": lambda: (encoded(picture().convert("CMYK")), JPEG),
    "grey": lambda: (encoded(picture().convert("L")), JPEG),
    "palette": lambda: (encoded(picture().convert("P", palette=Image.Palette.ADAPTIVE), "PNG"), "image/png"),
    "transparent": lambda: (encoded(picture().convert("RGBA"), "PNG"), "image/png"),
    "16 bit": lambda: (encoded(sixteen_bit(), "PNG"), "image/png"),
    "animated": lambda: (encoded(picture(), "GIF", save_all=True, append_images=[Image.new("RGB", (512, 512))]),
                         "image/gif"),
    "turned by exif": lambda: (encoded(picture().rotate(90, expand=True), exif=turned(6)), JPEG),
}  # fmt: skip


def sixteen_bit() -> Image.Image:
    grey = np.asarray(picture().convert("L"), np.uint16) * 257
    return Image.fromarray(grey)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("name", FORMATS)
def test_odd_images_are_read(client: Client, name: str) -> None:
    data, content_type = FORMATS[name]()
    answer = client.post(f"{make_handler(client)}/events", data, content_type)
    assert answer.status_code == 201, answer.json()
    (event,) = answer.json()["events"]
    rect = event["detections"][0]["samples"]["face"]["detection"]["rect"]
    assert 150 < rect["x"] < 200
    assert 50 < rect["y"] < 100
    assert abs(event["detections"][0]["samples"]["face"]["detection"]["landmarks5"][0][0] - 204) < 6


@pytest.mark.usefixtures("no_rotation")
def test_exif_is_ignored_on_demand(client: Client) -> None:
    data = FORMATS["turned by exif"]()[0]
    answer = client.post(f"{make_handler(client)}/events?use_exif_info=0", data, JPEG)
    rects = [event["detections"][0]["samples"]["face"]["detection"]["rect"] for event in answer.json()["events"]]
    assert all(not 150 < rect["x"] < 200 for rect in rects)


def test_twenty_faces(client: Client, stored: Count) -> None:
    """Five by four of one portrait: as many events, in one request."""
    tile = picture().crop((100, 20, 350, 270))
    crowd = Image.new("RGB", (1250, 1000))
    for number in range(20):
        crowd.paste(tile, (number % 5 * 250, number // 5 * 250))
    before = stored()
    answer = client.post(f"{make_handler(client)}/events", encoded(crowd, quality=90), JPEG)
    assert answer.status_code == 201
    assert len(answer.json()["events"]) == 20
    assert stored().events == before.events + 20


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", 12002), ("null", 12027), ("[]", 12027), ("7", 12027), ({}, 12027), ({"urls": "x"}, 12027),
        ({"samples": [str(uuid4())] * 9}, 12027), ({"image": "x"}, 12027),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", PATHS)
def test_bad_references(client: Client, stored: Count, kind: str, body: Any, code: int) -> None:
    path = path_of(kind, client)
    before = stored()
    answer = client.post(path, body, JSON)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert stored() == before


def test_a_bomb_costs_no_memory(client: Client) -> None:
    """Tens of gigabytes of claimed pixels are refused by the header."""
    import tracemalloc

    handler = make_handler(client)
    client.post(f"{handler}/events", astronaut(), JPEG)
    tracemalloc.start()
    client.post(f"{handler}/events", png_header(60_000, 60_000), "image/png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 1024**2


def test_compressed_bodies(client: Client, stored: Count) -> None:
    import gzip

    path = path_of("events", client)
    answer = client.post(path, gzip.compress(astronaut()), JPEG, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, len(answer.json()["events"])) == (201, 1)
    before = stored()
    answer = client.post(path, astronaut(), JPEG, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, 12044)
    assert stored() == before


def test_messagepack(client: Client) -> None:
    import ormsgpack

    sample_id = client.post("/6/detector", sample(2), JPEG).json()["images"][0]["detections"]["samples"][0]["face"]
    body = ormsgpack.packb({"samples": [sample_id["sample_id"]]})
    headers = {"Accept": "application/msgpack"}
    answer = client.post(path_of("events", client), body, "application/msgpack", headers=headers)
    assert answer.status_code == 201
    assert len(ormsgpack.unpackb(answer.content)["events"]) == 1
