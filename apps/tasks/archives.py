"""ZIP archives of a table and pictures: results of the exporter and the reporter, written and joined in flat memory.

A subtask writes a complete archive of its part of the rows. The merge joins the archives: one table, all pictures. An
interrupted subtask begins its part again. Parts are small enough that this costs seconds, and a file that continued
after a crash would have to survive in the directory of a worker that may not come back.
"""

import pickle
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self

from isal import isal_zlib

from apps.common import errors
from apps.common.errors import LunaError
from apps.tasks.types.base import TaskRun

CHUNK_BYTES = 256 * 1024
LEVEL = 1  # of ISA-L's deflate: its higher levels compress tables hardly more
PICTURES = "images/"


class _Entries:
    """The list of entries of a `ZipFile`, in a file: in memory, a million pictures would take 700 MB."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._count = 0

    def append(self, entry: zipfile.ZipInfo) -> None:
        pickle.dump(entry, self._file)
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[zipfile.ZipInfo]:
        self._file.seek(0)
        for _ in range(self._count):
            yield pickle.load(self._file)  # noqa: S301 - written by this object

    def __setitem__(self, name: str, entry: zipfile.ZipInfo) -> None:
        """Forget the entry by its name: `ZipFile` would find duplicates, and names are unique ids."""

    def __contains__(self, name: object) -> bool:
        return False


class Archive(AbstractContextManager["Archive"]):
    """A new ZIP archive with one table and pictures. `moment`: the time of all entries.

    Raises LunaError REPORT_SAVE_FAILED if the table cannot be written, REPORT_ARCHIVE_FAILED for the rest of the file.
    """

    def __init__(self, path: Path, *, moment: datetime) -> None:
        self.path = path
        self._moment = moment.astimezone(UTC).timetuple()[:6]
        self._entries = TemporaryFile(dir=path.parent)  # noqa: SIM115 - closed with the archive
        with _failing_with(errors.REPORT_ARCHIVE_FAILED):
            self._zip = zipfile.ZipFile(path, "w")
        names: Any = self._zip
        names.filelist = names.NameToInfo = _Entries(self._entries)

    @contextmanager
    def table(self, name: str) -> Iterator[Callable[[bytes], object]]:
        """Write the table: yield a function that appends bytes."""
        entry = self._entry(name, zipfile.ZIP_DEFLATED)
        # The size is unknown, so the entry has room for one of more than 4 GiB.
        with _failing_with(errors.REPORT_SAVE_FAILED), self._zip.open(entry, "w", force_zip64=True) as file:
            # Half of an exporter's CPU time was zlib's deflate; ISA-L's takes a sixth of it.
            faster: Any = file
            faster._compressor = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
            yield file.write

    def picture(self, name: str, data: bytes) -> None:
        """Add an encoded picture, which deflate would not make smaller."""
        with _failing_with(errors.REPORT_ARCHIVE_FAILED):
            self._zip.writestr(self._entry(f"{PICTURES}{name}", zipfile.ZIP_STORED), data)

    def _entry(self, name: str, kind: int) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(name, self._moment)
        entry.compress_type = kind
        return entry

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._entries:
            if error is None:
                with _failing_with(errors.REPORT_ARCHIVE_FAILED):
                    self._zip.close()
            else:
                with suppress(OSError):
                    self._zip.close()

    def __enter__(self) -> Self:
        return self


@contextmanager
def _failing_with(code: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LunaError(code) from error


def archives_join(run: TaskRun, parts: Iterable[IO[bytes]], *, table: str, path: Path) -> None:
    """Write one archive of the archives of all subtasks, in their order. `table`: the name of their table.

    Raises the errors of `Archive`.
    """
    copies = [_copied(run, part, path.with_name(f"part{number}.zip")) for number, part in enumerate(parts)]
    with Archive(path, moment=run.create_time) as archive:
        with archive.table(table) as write:
            for number, copy in enumerate(copies):
                with zipfile.ZipFile(copy) as part, part.open(table) as rows:
                    header = rows.readline()
                    if number == 0:
                        write(header)
                    while chunk := rows.read(CHUNK_BYTES):
                        run.check()
                        write(chunk)
        for copy in copies:
            with zipfile.ZipFile(copy) as part:
                for entry in part.infolist():
                    run.check()
                    if entry.filename.startswith(PICTURES):
                        archive.picture(entry.filename.removeprefix(PICTURES), part.read(entry))
            copy.unlink()


def _copied(run: TaskRun, part: IO[bytes], path: Path) -> Path:
    """Copy a part into the directory of the stage: the table and the pictures are two passes over all parts."""
    with _failing_with(errors.REPORT_ARCHIVE_FAILED), path.open("wb") as file:
        while chunk := part.read(CHUNK_BYTES):
            run.check()
            file.write(chunk)
    return path
