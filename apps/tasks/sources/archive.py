"""ZIP archives: objects of this platform, and files at foreign addresses. Nothing is unpacked to the disk."""

import logging
import shutil
import stat
import struct
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path
from threading import Lock
from typing import Any

from pyzipper import AESZipFile, BadZipFile, ZipInfo
from pyzipper.zipfile import _EndRecData

from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.config import ExternalAddress, OutgoingRequests, config
from apps.common.errors import LunaError
from apps.common.fetch import FetchError, Timeouts, TooLargeError, shown_url, stream
from apps.common.scope import Scope
from apps.imagestore.addresses import object_of_address
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_open, object_view
from apps.tasks.config import ArchiveDownloads, Sources
from apps.tasks.sources.base import Choice, Entry, Source, SourceError, bounded, shown

logger = logging.getLogger(__name__)

DOWNLOAD_S = 24 * 3600.0
FREE_BYTES = 1024**3  # that a download leaves free on the disk
RECORD = struct.Struct("<4s24xHHH12x")  # a member's record in the directory of an archive
RECORD_START = b"PK\x01\x02"
RECORD_BYTES = 256  # of a member's record, on average
SIGNATURE, SIZE, LOCATION = 0, 5, 9  # members of `_EndRecData`: of the end record, the directory, the end record
END64, END64_BYTES = b"PK\x06\x06", 76
UNREADABLE = (BadZipFile, zlib.error, LZMAError, OSError, EOFError, NotImplementedError, ValueError, struct.error)
ENCRYPTED = 0x1


class Archive(Source):
    """An archive. `reference`: a URL, or the address of an object. `directory`: receives the download."""

    lost = errors.ARCHIVE_READ_FAILED

    def __init__(
        self, *, reference: str, password: str | None, choice: Choice, scope: Scope, actor: Actor, directory: Path
    ) -> None:
        super().__init__()
        self._reference, self._choice, self._scope, self._actor = reference, choice, scope, actor
        self._password = None if password is None else password.encode()
        self._path = directory / "archive.zip"
        self._stored: StoredObject | None = None
        self._file: Any = None
        self._zip: AESZipFile | None = None
        self._lock = Lock()  # of `_file`, which `close` ends in another thread

    @property
    def place(self) -> str:
        return shown(shown_url(self._reference) if "://" in self._reference else self._reference)

    def open(self) -> None:
        try:
            self._file = self._opened()
            self._check_directory()
            self._zip = AESZipFile(self._file)
        except UNREADABLE as error:
            raise self._failed("it is not a readable ZIP archive") from error
        if self._password is not None:
            self._zip.setpassword(self._password)
        elif any(each.flag_bits & ENCRYPTED for each in self._zip.NameToInfo.values()):
            raise self._failed("it is encrypted, and the task has no `authorization.password`")

    def entries(self, after: str) -> Iterator[Entry]:
        assert self._zip is not None  # noqa: S101
        # Of members with the same name the last one counts, as for every program that unpacks the archive.
        for name in sorted(self._zip.NameToInfo):
            self.alive()
            info = self._zip.NameToInfo[name]
            if name > after and not name.endswith("/") and self._choice.takes(name):
                problem = _problem(info)
                yield Entry(name, None if problem is None else LunaError(errors.FILE_READ_FAILED, problem))

    def read(self, name: str) -> bytes:
        assert self._zip is not None  # noqa: S101
        self.alive()
        try:
            with self._zip.open(self._zip.NameToInfo[name]) as member:
                return bounded(member.read)
        except RuntimeError as error:  # NotImplementedError is one too: an unknown compression
            if isinstance(error, NotImplementedError):
                raise LunaError(errors.FILE_READ_FAILED, f"{shown(name)}: {error}") from error
            raise self._failed("the password is wrong") from error
        except UNREADABLE as error:
            raise LunaError(errors.FILE_READ_FAILED, f"{shown(name)}: the member is damaged") from error

    def close(self) -> None:
        super().close()
        with self._lock:
            if self._file is not None:
                self._file.close()
        self._path.unlink(missing_ok=True)

    def _failed(self, reason: str) -> SourceError:
        return SourceError(errors.ARCHIVE_READ_FAILED, f"{self.place}: {reason}")

    def prepare(self) -> None:
        """Raises SourceError ARCHIVE_READ_FAILED for an object that does not exist in the scope."""
        found = object_of_address(self._reference.removeprefix(config(ExternalAddress).origin))
        if found is None:
            return
        try:
            self._stored = object_view(scope=self._scope, bucket=found[0], object_id=found[1], actor=self._actor)
        except LunaError as error:
            raise self._failed("the object does not exist") from error
        if self._stored.size_bytes > config(Sources).archive_max_size:
            allowed = config(Sources).archive_max_size
            raise self._failed(f"it has {self._stored.size_bytes} bytes, at most {allowed} are allowed")

    def _opened(self) -> Any:
        """Return the file of an object of this platform, or that of a download."""
        if self._stored is None:
            return self._downloaded()
        try:
            return object_open(stored=self._stored)
        except LunaError as error:
            raise self._failed("the storage failed") from error

    def _downloaded(self) -> Any:
        limits = config(ArchiveDownloads)
        allowed = config(Sources).archive_max_size
        timeouts = Timeouts(
            total_s=DOWNLOAD_S,
            connect_s=min(limits.connect, limits.sock_connect),
            silence_s=min(limits.request, limits.sock_read),
        )
        try:
            with (
                stream(
                    self._reference,
                    max_bytes=allowed,
                    timeouts=timeouts,
                    allow_private=config(OutgoingRequests).allow_private_urls,
                ) as body,
                self._path.open("xb") as file,
            ):
                free = shutil.disk_usage(self._path.parent).free - FREE_BYTES
                if free < (body.declared or 0):
                    raise self._failed(f"it has {body.declared} bytes, and the worker has no space for them")
                for chunk in body.chunks:
                    self.alive()
                    file.write(chunk)
                    free -= len(chunk)
                    if free < 0:
                        raise self._failed("the worker has no space for it")
        except TooLargeError as error:
            raise self._failed(f"it has more than {allowed} bytes") from error
        except FetchError as error:
            logger.info("archive download failed: %s", error)  # the message can name internal addresses
            raise self._failed("the download failed") from error
        return self._path.open("rb")

    def _check_directory(self) -> None:
        """Check the directory of the archive before the library reads it into memory.

        Raises SourceError for too many members, BadZipFile for other data at its place.
        """
        end = _EndRecData(self._file)
        if not end:
            raise BadZipFile
        limit, left = config(Sources).archive_max_files, end[SIZE]
        if left > limit * RECORD_BYTES:
            raise self._failed(f"it has more than {limit} files, or too long names")
        self._file.seek(end[LOCATION] - left - (END64_BYTES if end[SIGNATURE] == END64 else 0))
        files = 0
        while left > 0:
            start, *lengths = RECORD.unpack(self._file.read(RECORD.size))
            if start != RECORD_START:
                raise BadZipFile
            self._file.seek(sum(lengths), 1)
            left -= RECORD.size + sum(lengths)
            files += 1
            if files > limit:
                raise self._failed(f"it has more than {limit} files")
            self.alive()


def _problem(info: ZipInfo) -> str | None:
    """Return why a member is refused, None for a plain file."""
    name = info.filename
    if name.startswith("/") or "\\" in name or ":" in name.partition("/")[0] or ".." in name.split("/"):
        return f"{shown(name)}: absolute names, `..` and `\\` are not allowed"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return f"{shown(name)}: only plain files are allowed"
    return None
