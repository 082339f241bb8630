"""Files of objects: `<bucket>/<first 4 characters of the id>/<id>[.jpg]`, and `<id>.meta.json` next to it."""

import hashlib
import io
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage

from apps.common.process import PerProcess
from apps.imagestore.choices import Bucket
from apps.imagestore.storage import DiskStorage
from apps.imagestore.types import NewObject, Readable

SAMPLE_BUCKETS = frozenset({Bucket.FACE_SAMPLES, Bucket.BODY_SAMPLES})
EXTENSIONS = {"image/jpeg": ".jpg", "image/png": ".png"}
ASIDE_BYTES = 256 * 1024  # larger chunks are hashed in another thread while they are written
HASHERS = 4

_hashers = PerProcess("hashes", lambda: ThreadPoolExecutor(HASHERS, thread_name_prefix="sha256"))


class CountingReader(io.RawIOBase):
    """Passes a stream through once and computes its size and SHA-256; large chunks are hashed concurrently."""

    def __init__(self, stream: Readable) -> None:
        self.stream = stream
        self.size_bytes = 0
        self._hash = hashlib.sha256()
        self._hashing: Future[None] | None = None

    @property
    def sha256(self) -> str:
        self._hashed()
        return self._hash.hexdigest()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self.stream.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._count(chunk)
        return len(chunk)

    def read(self, size: int = -1) -> bytes:
        chunk = self.stream.read(size) if size >= 0 else self.stream.read()
        self._count(chunk)
        return chunk

    def _count(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        self._hashed()
        if len(chunk) < ASIDE_BYTES:
            self._hash.update(chunk)
        else:
            self._hashing = _hashers().submit(self._hash.update, chunk)

    def _hashed(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None


def folder(bucket: str, object_id: UUID) -> str:
    return f"{bucket}/{str(object_id)[:4]}"


def data_name(bucket: str, object_id: UUID, content_type: str) -> str:
    extension = EXTENSIONS.get(content_type, "") if bucket in SAMPLE_BUCKETS else ""
    return f"{folder(bucket, object_id)}/{object_id}{extension}"


def meta_name(bucket: str, object_id: UUID) -> str:
    return f"{folder(bucket, object_id)}/{object_id}.meta.json"


def write_all(items: Sequence[NewObject]) -> list[tuple[int, str]]:
    """Write both files of all objects, or none. Return size in bytes and SHA-256 (hex) of the data of each."""
    written, finish = begin_all(items)
    finish()
    return written


def begin_all(items: Sequence[NewObject]) -> tuple[list[tuple[int, str]], Callable[[], None]]:
    """Write like `write_all`, but return also a function that waits until the files are durable. It must be called."""
    readers = [CountingReader(item.stream()) for item in items]
    contents: list[tuple[str, File[Any]]] = []
    for item, reader in zip(items, readers, strict=True):
        described: File[Any] = ContentFile(orjson.dumps(description(item)))
        data: File[Any] = File(reader)  # type: ignore[arg-type]
        for content in (described, data):
            content.expire_days = item.ttl_days  # type: ignore[attr-defined]  # for S3Store
        contents.append((meta_name(item.bucket, item.object_id), described))
        contents.append((data_name(item.bucket, item.object_id, item.content_type), data))
    finish = begin_each(contents)
    return [(reader.size_bytes, reader.sha256) for reader in readers], finish


def begin_each(contents: Sequence[tuple[str, "File[Any]"]]) -> Callable[[], None]:
    """Save contents and return a function that waits until they are durable. Only disks sync concurrently."""
    if isinstance(default_storage, DiskStorage):
        return default_storage.begin_all(contents)
    save_each(contents)
    return lambda: None


def save_each(contents: Sequence[tuple[str, "File[Any]"]]) -> None:
    """Save contents one after the other. If one fails, remove the earlier ones.

    If that fails too, the storage is unavailable: `fsck` removes the rest, so that the client does not wait for each.
    """
    saved: list[str] = []
    try:
        for name, content in contents:
            saved.append(name)
            default_storage.save(name, content)
    except BaseException:
        with suppress(Exception):  # report the first failure
            for name in saved:
                default_storage.delete(name)
        raise


def description(item: NewObject) -> dict[str, object]:
    """Return the content of an object's `*.meta.json`."""
    described: dict[str, object] = {"account_id": str(item.account_id)}
    if item.bucket not in SAMPLE_BUCKETS:
        described["Content-Type"] = item.content_type
    if item.meta:
        described["meta"] = dict(item.meta)
    return described


def read(bucket: str, object_id: UUID, content_type: str) -> "File[bytes]":
    """Open the data for reading; the caller closes it. Raises FileNotFoundError."""
    return default_storage.open(data_name(bucket, object_id, content_type), "rb")


def remove(bucket: str, object_id: UUID, content_type: str) -> None:
    """Remove both files, the data first. Missing files are ignored."""
    remove_all([(bucket, object_id, content_type)])


def expires_by_itself() -> bool:
    """Return whether the storage removes expired files itself, and therefore needs tags with their time to live."""
    return bool(getattr(default_storage, "lifecycle", False))


def expire_all(keys: Sequence[tuple[str, UUID, str]], days: int | None) -> None:
    """Pass a new time to live of objects, given as (bucket, id, content type), to such a storage."""
    for name in (name for key in keys for name in (data_name(*key), meta_name(*key[:2]))):
        default_storage.expire(name, days)  # type: ignore[attr-defined]  # of S3Store


def remove_all(keys: Sequence[tuple[str, UUID, str]]) -> None:
    """Remove the files of objects, given as (bucket, id, content type)."""
    names = [name for key in keys for name in (data_name(*key), meta_name(*key[:2]))]
    if isinstance(default_storage, DiskStorage):
        default_storage.delete_all(names)
    else:
        for name in names:
            default_storage.delete(name)


def exists(name: str) -> bool:
    return bool(default_storage.exists(name))
