"""Objects as files: `<bucket>/<first 4 characters of the id>/<id>[.jpg]` and `<id>.meta.json` beside it."""

import hashlib
import io
from collections.abc import Mapping
from typing import Any, BinaryIO
from uuid import UUID

import orjson
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage

from apps.imagestore.choices import Bucket

SAMPLE_BUCKETS = frozenset({Bucket.FACE_SAMPLES, Bucket.BODY_SAMPLES})
EXTENSIONS = {"image/jpeg": ".jpg", "image/png": ".png"}


class CountingReader(io.RawIOBase):
    """Passes a stream through once and learns its size and SHA-256 on the way."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.size_bytes = 0
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
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
        self._hash.update(chunk)


def folder(bucket: str, object_id: UUID) -> str:
    return f"{bucket}/{str(object_id)[:4]}"


def data_name(bucket: str, object_id: UUID, content_type: str) -> str:
    extension = EXTENSIONS.get(content_type, "") if bucket in SAMPLE_BUCKETS else ""
    return f"{folder(bucket, object_id)}/{object_id}{extension}"


def meta_name(bucket: str, object_id: UUID) -> str:
    return f"{folder(bucket, object_id)}/{object_id}.meta.json"


def write(
    *, bucket: str, object_id: UUID, account_id: UUID, stream: BinaryIO, content_type: str, meta: Mapping[str, object]
) -> tuple[int, str]:
    """Writes both files, the description first; returns size in bytes and SHA-256 (hex) of the data."""
    described: dict[str, object] = {"account_id": str(account_id)}
    if bucket not in SAMPLE_BUCKETS:
        described["Content-Type"] = content_type
    if meta:
        described["meta"] = dict(meta)
    default_storage.save(meta_name(bucket, object_id), ContentFile(orjson.dumps(described)))
    reader = CountingReader(stream)
    try:
        default_storage.save(data_name(bucket, object_id, content_type), File(reader))  # type: ignore[arg-type]
    except BaseException:
        default_storage.delete(meta_name(bucket, object_id))
        raise
    return reader.size_bytes, reader.sha256


def read(bucket: str, object_id: UUID, content_type: str) -> "File[bytes]":
    """The data, open for reading; closed by the caller. Raises FileNotFoundError."""
    return default_storage.open(data_name(bucket, object_id, content_type), "rb")


def remove(bucket: str, object_id: UUID, content_type: str) -> None:
    """Removes both files, the data first; files that are not there are no error."""
    default_storage.delete(data_name(bucket, object_id, content_type))
    default_storage.delete(meta_name(bucket, object_id))
