"""Objects as files: `<bucket>/<first 4 characters of the id>/<id>[.jpg]` and `<id>.meta.json` beside it."""

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
ASIDE_BYTES = 256 * 1024  # a piece so large is hashed by a thread of its own, meanwhile it is written
HASHERS = 4

_hashers = PerProcess("hashes", lambda: ThreadPoolExecutor(HASHERS, thread_name_prefix="sha256"))


class CountingReader(io.RawIOBase):
    """Passes a stream through once and learns its size and SHA-256 on the way: of large ones while they are written."""

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
    """Writes both files of every object, or none; returns size in bytes and SHA-256 (hex) of the data of each."""
    written, finish = begin_all(items)
    finish()
    return written


def begin_all(items: Sequence[NewObject]) -> tuple[list[tuple[int, str]], Callable[[], None]]:
    """Begins `write_all`: what it returns, and what waits until the files are kept for good; that must be called."""
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
    """Begins to save; what is returned waits until all of it is kept. Only a disk goes on by itself."""
    if isinstance(default_storage, DiskStorage):
        return default_storage.begin_all(contents)
    save_each(contents)
    return lambda: None


def save_each(contents: Sequence[tuple[str, "File[Any]"]]) -> None:
    """Saves one after the other; when one fails, those before it are removed.

    Where that fails, too, the storage is away: the rest is left to fsck, or the client would wait for each of them.
    """
    saved: list[str] = []
    try:
        for name, content in contents:
            saved.append(name)
            default_storage.save(name, content)
    except BaseException:
        with suppress(Exception):  # the first failure is the one to tell
            for name in saved:
                default_storage.delete(name)
        raise


def description(item: NewObject) -> dict[str, object]:
    """What `*.meta.json` says of an object."""
    described: dict[str, object] = {"account_id": str(item.account_id)}
    if item.bucket not in SAMPLE_BUCKETS:
        described["Content-Type"] = item.content_type
    if item.meta:
        described["meta"] = dict(item.meta)
    return described


def read(bucket: str, object_id: UUID, content_type: str) -> "File[bytes]":
    """The data, open for reading; closed by the caller. Raises FileNotFoundError."""
    return default_storage.open(data_name(bucket, object_id, content_type), "rb")


def remove(bucket: str, object_id: UUID, content_type: str) -> None:
    """Removes both files, the data first; files that are not there are no error."""
    remove_all([(bucket, object_id, content_type)])


def expires_by_itself() -> bool:
    """Whether the storage removes files whose time is over, and so must be told when that changes."""
    return bool(getattr(default_storage, "lifecycle", False))


def expire_all(keys: Sequence[tuple[str, UUID, str]], days: int | None) -> None:
    """Tells such a storage of a new time to live of several objects: (bucket, id, content type)."""
    for name in (name for key in keys for name in (data_name(*key), meta_name(*key[:2]))):
        default_storage.expire(name, days)  # type: ignore[attr-defined]  # of S3Store


def remove_all(keys: Sequence[tuple[str, UUID, str]]) -> None:
    """Removes the files of several objects: (bucket, id, content type)."""
    names = [name for key in keys for name in (data_name(*key), meta_name(*key[:2]))]
    if isinstance(default_storage, DiskStorage):
        default_storage.delete_all(names)
    else:
        for name in names:
            default_storage.delete(name)


def exists(name: str) -> bool:
    return bool(default_storage.exists(name))
