"""A storage that is full, read-only, away or slow: a clear error in bounded time, nothing half, nothing lost."""

import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.imagestore import s3
from apps.imagestore.models import StoredObject
from tests.api.helpers import refused
from tests.api.imagestore.helpers import picture, post, stored
from tests.storages import options, s3_server, stored_names, use_storage
from tests.unit.imagestore.test_s3 import deaf_server

MIB = 1024**2
TOO_LARGE = os.urandom(2 * MIB)
NOISE = picture((1200, 1200), "PNG")  # more than 1 MiB
ZIP = "application/zip"


@pytest.fixture
def store() -> str:
    """Return the storage of most tests; parametrised tests name their own."""
    return "disk"


def mount(folder: Path, kind: str) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", kind, "tmpfs", str(folder)]
    return bool(os.geteuid() == 0 and shutil.which("mount") and subprocess.run(command, check=False).returncode == 0)


@pytest.fixture
def small_disk(tmp_path: Path, settings: object) -> Iterator[Path]:
    """A disk of 1 MiB; where none may be mounted, no file may be larger than that."""
    folder = tmp_path / "small"
    folder.mkdir()
    use_storage(settings, "apps.imagestore.storage.DiskStorage", location=str(folder))
    if mount(folder, "size=1m"):
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk(client: Client, small_disk: Path) -> None:
    kept = {f"/6/objects/{stored(client, '/6/objects', bytes([n]) * 1000, ZIP)}": bytes([n]) * 1000 for n in range(3)}
    names = stored_names()
    refused(post(client, "/6/objects", TOO_LARGE, ZIP), 500, 19007)
    refused(post(client, "/6/images", NOISE, "image/png"), 500, 19001)
    assert stored_names() == names
    assert not [entry for entry in small_disk.rglob("*") if entry.name.endswith(".part")]
    assert StoredObject.objects.unscoped().count() == len(kept)
    assert {path: b"".join(client.get(path)) for path in kept} == kept
    stored(client, "/6/objects", b"there is room again", ZIP)


@pytest.fixture
def make_read_only(tmp_path: Path, settings: object) -> Iterator[Callable[[], object]]:
    """Return a storage and a function that makes it read-only: by a mount, or by permission bits without root."""
    folder = tmp_path / "sealed"
    folder.mkdir()
    use_storage(settings, "apps.imagestore.storage.DiskStorage", location=str(folder))
    if os.geteuid():
        yield lambda: [each.chmod(0o500) for each in (*folder.rglob("*"), folder) if each.is_dir()]
        for each in (folder, *folder.rglob("*")):
            if each.is_dir():
                each.chmod(0o700)
    elif mount(folder, "size=16m"):
        yield lambda: subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        subprocess.run(["umount", str(folder)], check=True)
    else:
        pytest.skip("root writes everywhere, and this one may mount nothing")


def test_a_read_only_disk(
    client: Client, make_read_only: Callable[[], object], django_capture_on_commit_callbacks: Any
) -> None:
    keys = [stored(client, "/6/objects", b"bytes", ZIP) for _ in range(2)]
    make_read_only()
    names = stored_names()
    refused(post(client, "/6/objects", b"more", ZIP), 500, 19007)
    refused(post(client, "/6/samples/faces", picture()), 500, 19001)
    assert b"".join(client.get(f"/6/objects/{keys[0]}")) == b"bytes"
    with django_capture_on_commit_callbacks(execute=True):  # the object is gone; its file is left to fsck
        assert client.delete(f"/6/objects/{keys[1]}").status_code == 204
    refused(client.get(f"/6/objects/{keys[1]}"), 404, 13007)
    assert stored_names() == names
    assert StoredObject.objects.unscoped().count() == 1


def in_s3(settings: object, address: str) -> None:
    use_storage(settings, "apps.imagestore.s3.S3Store", **options(address, uuid4().hex))


def every_request(client: Client, key: UUID) -> list[tuple[Any, int]]:
    """Answers, and the code that each would have for want of a better one."""
    return [
        (client.get(f"/6/objects/{key}"), 20016),
        (post(client, "/6/objects", b"more", ZIP), 20013),
        (post(client, "/6/samples/faces", picture()), 20001),
    ]


def test_a_server_that_dies(client: Client, settings: object) -> None:
    with s3_server() as address:
        in_s3(settings, address)
        key = stored(client, "/6/objects", b"bytes", ZIP)
    started = time.monotonic()
    first, *rest = every_request(client, key)
    refused(first[0], 500, 20008)
    for answer, _ in rest:  # after three consecutive failures, one of them in a clean-up, the circuit breaker opens
        assert (answer.status_code, answer.json()["error_code"]) in ((500, 20008), (503, 20005))
    refused(rest[-1][0], 503, 20005)
    assert rest[-1][0].headers["Retry-After"] == "5"
    assert time.monotonic() - started < 60  # as long as one attempt may last
    assert StoredObject.objects.unscoped().count() == 1
    assert client.head(f"/6/objects/{key}").status_code == 200


@pytest.fixture
def key(account: Account) -> UUID:
    """An object of 5 bytes, wherever they are."""
    row = {"account": account, "bucket": "visionlabs-objects", "content_type": ZIP, "size_bytes": 5}
    return StoredObject.objects.unscoped().create(**row).object_id


def test_a_server_that_never_answers(
    client: Client, key: UUID, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read waits `ATTEMPTS` times, a write as long again for its clean-up, however many files it has."""
    monkeypatch.setattr(s3, "READ_TIMEOUT_S", 0.5)
    monkeypatch.setattr(s3, "FAILURES", 99)
    attempts: list[socket.socket] = []
    with deaf_server(held=attempts) as address:
        in_s3(settings, address)
        answers = every_request(client, key)
    for answer, _ in answers:
        refused(answer, 500, 20007)
    assert len(attempts) <= (1 + 2 + 2) * s3.ATTEMPTS
    assert StoredObject.objects.unscoped().count() == 1


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", 20007),
        (b"HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 20016),
    ],
)
def test_a_server_that_does_half(
    client: Client, key: UUID, settings: object, monkeypatch: pytest.MonkeyPatch, sent: bytes, code: int
) -> None:
    monkeypatch.setattr(s3, "READ_TIMEOUT_S", 0.5)
    with deaf_server(sent) as address:
        in_s3(settings, address)
        refused(client.get(f"/6/objects/{key}"), 500, code)
