"""The Image Store over HTTP beside plain copies of files: one worker process, samples, images and large objects.

A plain copy is `copyfile`; written copies are synced to disk, as acknowledged writes of the platform are.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import orjson
from PIL import Image

from apps.common.config import Directories, config
from tests.perf.report import Row
from tests.perf.web import Client, at_once, platform

MIB = 1024 * 1024
CLIENTS = 8
GOAL = ">= 0.6 of copies"
ROUNDS = 2


def bench() -> list[Row]:
    sample = picture(250, 95)
    image = picture(2400, 98)
    large = os.urandom(MIB) * 64
    work = (
        ("samples", "/6/samples/faces", "image/jpeg", sample, 1, 100),
        ("samples", "/6/samples/faces", "image/jpeg", sample, CLIENTS, 400),
        ("images", "/6/images", "image/jpeg", image, CLIENTS, 48),
        ("objects", "/6/objects", "application/zip", large, 1, 6),
        ("objects", "/6/objects", "application/zip", large, 4, 8),
    )
    rows = []
    with platform() as (_, client):
        for name, path, content_type, data, clients, count in work:
            rows += compare(name, path, content_type, data, clients, count, client)
    return rows


def picture(side_px: int, quality: int) -> bytes:
    """A JPEG of noise, about 30 KB at 250 px, some 4 MB at 2400 px."""
    buffer = io.BytesIO()
    Image.effect_noise((side_px, side_px), 32).convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def compare(
    name: str, path: str, content_type: str, data: bytes, clients: int, count: int, client: Callable[[], Client]
) -> list[Row]:
    """Megabytes per second in and out, the platform and copies taking turns."""
    with tempfile.TemporaryDirectory(dir=config(Directories).var) as folder:  # of the same disk
        source = Path(folder, "source")
        source.write_bytes(data)
        urls: list[str] = []

        def post() -> Callable[[int], object]:
            asking = client()
            return lambda _: urls.append(orjson.loads(asking.ask("POST", path, data, content_type))["url"])

        def get() -> Callable[[int], object]:
            asking = client()
            return lambda place: asking.drain(urls[place])

        def copy(synced: bool) -> Callable[[int], object]:
            return lambda _: copy_file(source, Path(folder, uuid4().hex), synced)

        def copy_back() -> Callable[[int], object]:
            copies = sorted(each for each in Path(folder).iterdir() if each.is_file())
            return lambda place: copy_file(copies[place], Path(folder, "read", uuid4().hex), False)

        Path(folder, "read").mkdir()
        write_s = copy_s = read_s = back_s = 0.0
        for _ in range(ROUNDS):
            urls.clear()
            write_s += at_once(clients, post, count)
            copy_s += at_once(clients, partial(copy, True), count)
            read_s += at_once(clients, get, count)
            back_s += at_once(clients, copy_back, count)
    megabytes = ROUNDS * count * len(data) / 1e6
    what = f"{name} of {len(data) / 1000:,.0f} KB, {clients} at a time"
    return [
        Row(f"{what}, written", megabytes / write_s, "MB/s", megabytes / copy_s, copy_s / write_s, GOAL),
        Row(f"{what}, read", megabytes / read_s, "MB/s", megabytes / back_s, back_s / read_s, GOAL),
    ]


def copy_file(source: Path, target: Path, synced: bool) -> None:
    shutil.copyfile(source, target)
    if synced:
        with target.open("rb") as file:
            os.fsync(file.fileno())
