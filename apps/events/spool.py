"""Durable files of events that are answered before they are stored.

Each process appends to a file of its own, which it holds under a lock (`flock`). An entry is on disk before the request
is answered. The file of a process that has ended without storing its entries, killed for example, has no lock: any
process stores them, once each by their ids, and removes the file.
"""

import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import ormsgpack
from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.common.config import Directories, config
from apps.common.descriptors import Descriptor
from apps.events.models import Event
from apps.events.types import EventDraft, EventRecord

MAGIC = b"LUNA-EVENTS-1\n\0\0"
ENTRY = struct.Struct(">II")  # size of the content, CRC-32
SUFFIX, REJECTED = ".spool", ".rejected"

Saving = tuple[UUID, EventRecord]
"""An event to store, with the id of its account."""


def folder() -> Path:
    """Return the folder of the files, which may not exist."""
    return config(Directories).var / "spool" / "events"


def _made() -> Path:
    """Return the folder, which only the platform's user can read."""
    path = folder()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


class SpoolFile:
    """A file of this process. `size`: bytes. `pending`: events that are reserved and not stored yet."""

    def __init__(self) -> None:
        self.path = _made() / f"{os.getpid()}-{uuid4().hex}{SUFFIX}"
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self._lock, self._sync_lock = threading.Lock(), threading.Lock()
        self.size = self._synced = self.pending = 0
        self._write(MAGIC)
        _sync_folder(self.path.parent)

    def reserve(self, count: int) -> None:
        """Count events that will be appended; the file stays open until `stored` has counted them."""
        with self._lock:
            self.pending += count

    def append(self, entries: Sequence[bytes]) -> None:
        """Write reserved entries to disk; concurrent calls share one sync. Raises OSError."""
        data = b"".join(ENTRY.pack(len(entry), zlib.crc32(entry)) + entry for entry in entries)
        with self._lock:
            self._write(data)
            end = self.size
        with self._sync_lock:
            if self._synced < end:
                reach = self.size
                os.fdatasync(self._fd)
                self._synced = reach

    def _write(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.pwrite(self._fd, rest, self.size + len(data) - len(rest)) :]
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size += len(data)

    def stored(self, count: int) -> None:
        """Count events that are stored, or were not written. A file without others becomes empty."""
        with self._lock:
            self.pending -= count
            if self.pending == 0:
                os.ftruncate(self._fd, len(MAGIC))
                self.size = self._synced = len(MAGIC)

    def close(self) -> None:
        """Remove the file if all its events are stored, else leave it to `spool_files`."""
        with self._lock:
            if self.pending == 0:
                self.path.unlink(missing_ok=True)
            os.close(self._fd)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def spool_files() -> Iterator[tuple[Path, list[Saving]]]:
    """Yield the files that no process holds, with their events, under the file's lock. The caller removes a file."""
    for path in sorted(folder().glob(f"*{SUFFIX}")):
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if path.exists():  # another process may have stored and removed it before the lock
                yield path, list(_entries(file.read()))


def spool_is_empty() -> bool:
    """Return whether no process of this machine has events that are not stored."""
    for path in folder().glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError):
            if path.stat().st_size > len(MAGIC):
                return False
    return True


def _entries(data: bytes) -> Iterator[Saving]:
    """Yield the entries up to the first incomplete one: a crash interrupts at most the last write, not answered yet."""
    place = len(MAGIC)
    while place + ENTRY.size <= len(data) and data.startswith(MAGIC):
        size, checksum = ENTRY.unpack_from(data, place)
        entry = data[place + ENTRY.size : place + ENTRY.size + size]
        if len(entry) != size or zlib.crc32(entry) != checksum:
            return
        yield unpacked(entry)
        place += ENTRY.size + size


def reject(saving: Saving) -> Path:
    """Keep an event that the database rejects in a file of its own, for operators, and return its path."""
    path = _made() / f"{saving[1].draft.event_id}{REJECTED}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(packed(saving))
    return path


def packed(saving: Saving) -> bytes:
    """Return an event as MessagePack: its columns by name, and its descriptors."""
    account_id, record = saving
    descriptors = [(each.version, each.vector.astype("<f4").tobytes(), each.score) for each in record.descriptors]
    content = {"account_id": account_id, "columns": record.draft.facts(), "descriptors": descriptors}
    return ormsgpack.packb(content, option=ormsgpack.OPT_NON_STR_KEYS)


def unpacked(data: bytes) -> Saving:
    """Return the event of `packed`."""
    content = ormsgpack.unpackb(data)
    columns = {name: _typed(name, value) for name, value in content["columns"].items()}
    descriptors = [
        Descriptor(version, np.frombuffer(vector, "<f4").astype(np.float32), score)
        for version, vector, score in content["descriptors"]
    ]
    return UUID(content["account_id"]), EventRecord(EventDraft(**columns), descriptors)


def _typed(name: str, value: Any) -> Any:
    convert, many = _conversions()[name]
    if convert is None or value is None:
        return value
    return [convert(each) for each in value] if many else convert(value)


@cache
def _conversions() -> Mapping[str, tuple[Any, bool]]:
    """Return the conversion of each column that MessagePack has as text, and whether the column is an array."""
    types: Mapping[type, Any] = {models.UUIDField: UUID, models.DateTimeField: datetime.fromisoformat}
    found = {}
    for each in fields(EventDraft):
        field: Any = Event._meta.get_field(each.name)
        many = isinstance(field, ArrayField)
        found[each.name] = types.get(type(field.base_field if many else field)), many
    return found
