"""Files of segments: arrays that all processes of a machine map read-only, and the manifest that names them.

Each list and version has a directory `<list key>-<version>` with segments and `manifest.json`. A file gets its name
after it is complete and synced to disk, and never changes. Checksums detect damage.
"""

import contextlib
import errno
import fcntl
import json
import mmap
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from apps.common.config import Directories, config
from apps.faces.changes import Keys, Mark
from apps.imagestore.storage import sync_directory
from apps.matching.segments.codes import Basis
from apps.matching.segments.scan import Segment

FORMAT = 1
MAGIC = b"LUNASEGM"
HEADER_BYTES = 4096
ALIGNMENT_BYTES = 4096
CRC_BYTES = 16 * 1024**2
DIRECTORY = "segments"  # in the var directory
WRITE_LOCK = "write.lock"
MANIFEST = "manifest.json"
OUTGROWN = ""  # the cluster of a manifest that is valid, but whose list is to be built anew with principal components
FAST_STATE = "fast.json"  # progress of fast codes
FAST_SUFFIX = ".fast"  # of the fast codes of a segment
MAX_MANIFEST_BYTES = 64 * 1024**2  # `seen` has all changes since the oldest running transaction, such as a backup
FREE_BYTES = 256 * 1024**2  # that a new segment leaves on the disk: the database may be on it, too
UNREADABLE = frozenset((errno.EIO, errno.EUCLEAN))  # errors of the disk


class SegmentError(Exception):
    """A file of segments is missing, damaged, or of another format or version."""


@dataclass(frozen=True, slots=True, eq=False)
class MappedSegment:
    """A mapped file. `gone`: faces that the segments before it must not show, int64, ascending."""

    name: str
    segment: Segment
    gone: Keys
    path: Path
    inode: int
    length: int  # in bytes

    def intact(self) -> bool:
        """Return whether the file still has its length: reading behind the end of a mapped file ends the process.

        A file that another one has replaced, or that is deleted, stays mapped as it is.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return True
        return found.st_ino != self.inode or found.st_size == self.length


@dataclass(frozen=True, slots=True)
class SegmentFile:
    """Entry of a manifest: name, size and checksum of a segment, its rows, and the number of `gone` faces."""

    name: str
    bytes: int
    crc: int
    rows: int
    gone: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The segments of one list and version, oldest first. Together they are the list at `mark`."""

    cluster: str
    list_key: int
    list_id: str
    account_id: str
    version: int
    dimension: int
    mark: Mark
    files: tuple[SegmentFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)


def segments_root() -> Path:
    """Return the directory of all segments of this installation."""
    return config(Directories).var / DIRECTORY


@contextlib.contextmanager
def reading(path: Path) -> Iterator[IO[bytes]]:
    """Open a file. Raises SegmentError for a file that the disk cannot read: it is made anew like any damaged one."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        if error.errno not in UNREADABLE:
            raise
        raise SegmentError(f"{path.parent.name}/{path.name}: the disk cannot read it") from error


@contextlib.contextmanager
def writing(root: Path) -> Iterator[None]:
    """Exclude other writers: an erasure must not be undone by a builder that has read the files before."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (root / WRITE_LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def directory_of(root: Path, list_key: int, version: int) -> Path:
    return root / f"{list_key}-{version}"


def manifest_read(directory: Path) -> Manifest:
    """Return the manifest of a directory. Raises SegmentError, FileNotFoundError."""
    with reading(directory / MANIFEST) as file:
        text = file.read(MAX_MANIFEST_BYTES)
    try:
        checksum, _, body = text.partition(b"\n")
        if int(checksum) != zlib.crc32(body):
            raise SegmentError(f"{directory.name}: the manifest is damaged")
        data: dict[str, Any] = json.loads(body)
        if data.pop("format") != FORMAT:
            raise SegmentError(f"{directory.name}: the manifest has another format")
        mark = Mark(**data.pop("mark") | {"seen": frozenset(data.pop("seen"))})
        files = tuple(SegmentFile(**file) for file in data.pop("files"))
        return Manifest(**data, mark=mark, files=files)
    except (ValueError, KeyError, TypeError) as error:
        raise SegmentError(f"{directory.name}: the manifest cannot be read") from error


def manifest_write(directory: Path, manifest: Manifest) -> None:
    """Replace the manifest, then delete files that it does not name."""
    data = {
        "format": FORMAT,
        **{name: getattr(manifest, name) for name in Manifest.__dataclass_fields__ if name not in ("mark", "files")},
        "mark": {"link_key": manifest.mark.link_key, "unlink_key": manifest.mark.unlink_key, "xid": manifest.mark.xid},
        "seen": sorted(manifest.mark.seen),
        "files": [asdict(file) for file in manifest.files],
    }
    body = json.dumps(data).encode()
    with replaced(directory / MANIFEST) as file:
        file.write(b"%d\n%s" % (zlib.crc32(body), body))
    remove_others(directory, manifest)


def remove_others(directory: Path, manifest: Manifest | None) -> None:
    """Delete files that a manifest does not name. Mapped files stay readable until unmapped."""
    named = {MANIFEST, FAST_STATE, *(file.name for file in (manifest.files if manifest else ()))}
    for path in directory.iterdir():
        if path.name not in named and path.name.removesuffix(FAST_SUFFIX) not in named:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[IO[bytes]]:
    """Write a file under another name; sync and rename it if all went well, else delete it."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with open(temporary, "x+b", opener=_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class SegmentWriter:
    """Writes one segment of a known number of rows in parts, ordered by key.

    Raises OSError before the first byte if less than `FREE_BYTES` would remain on the disk.
    """

    def __init__(self, file: IO[bytes], basis: Basis, version: int, rows: int, gone: Keys) -> None:
        self._file, self._next = file, 0
        shapes: dict[str, tuple[str, tuple[int, ...]]] = {
            "rotation": ("<f4", (0, 0) if basis.rotation is None else basis.rotation.shape),
            "gone": ("<i8", gone.shape),
            "keys": ("<i8", (rows,)),
            "codes": ("|i1", (rows, basis.dimension)),
            "head": ("|i1", (rows, basis.head)),
            "scale": ("<f4", (rows,)),
            "residual": ("<f4", (rows,)),
            "tail": ("<f4", (rows,)),
        }
        self._places: dict[str, tuple[str, tuple[int, ...], int]] = {}
        end = HEADER_BYTES
        for name, (dtype, shape) in shapes.items():
            self._places[name] = (dtype, shape, end)
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            end += -(-size // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        self.rows, self.gone, self.bytes = rows, len(gone), end
        header = {
            "format": FORMAT,
            "version": version,
            "dimension": basis.dimension,
            "head": basis.head,
            "weight": basis.weight,
            "bytes": end,
            "arrays": self._places,
        }
        text = json.dumps(header).encode()
        disk = os.fstatvfs(file.fileno())
        if disk.f_bavail * disk.f_frsize < end + FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file.truncate(end)
        file.write(MAGIC + text.ljust(HEADER_BYTES - len(MAGIC)))
        if basis.rotation is not None:
            self._write("rotation", basis.rotation, 0)
        self._write("gone", gone, 0)

    def add(self, keys: Keys, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Append rows: their keys, and the arrays of `CodedRows` by name."""
        self._write("keys", keys, self._next)
        for name, values in arrays.items():
            self._write(name, values, self._next)
        self._next += len(keys)

    def _write(self, name: str, values: NDArray[Any], row: int) -> None:
        dtype, shape, offset = self._places[name]
        if row + len(values) > shape[0]:
            raise SegmentError("more rows than announced")
        row_bytes = int(np.prod(shape[1:])) * np.dtype(dtype).itemsize
        self._file.seek(offset + row * row_bytes)
        self._file.write(np.ascontiguousarray(values, dtype).data)

    def entry(self, name: str) -> SegmentFile:
        """Return the manifest's entry of the complete file. Raises SegmentError if rows are missing."""
        if self._next != self.rows:
            raise SegmentError("fewer rows than announced")
        self._file.flush()
        return SegmentFile(name, self.bytes, checksum_of(self._file), self.rows, self.gone)


def segment_write(
    directory: Path,
    *,
    basis: Basis,
    version: int,
    rows: int,
    gone: Keys,
    parts: Iterable[tuple[Keys, Mapping[str, NDArray[Any]]]],
) -> SegmentFile:
    """Write a new segment of `rows` rows, which `parts` yield in the order of their keys; return its entry.

    Raises SegmentError for another number of rows, OSError.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{uuid4().hex}.segment"
    with replaced(directory / name) as file:
        writer = SegmentWriter(file, basis, version, rows, gone)
        for keys, arrays in parts:
            writer.add(keys, arrays)
        return writer.entry(name)


def checksum_of(file: IO[bytes]) -> int:
    file.seek(0)
    checksum = 0
    while part := file.read(CRC_BYTES):
        checksum = zlib.crc32(part, checksum)
    return checksum


def segment_open(directory: Path, entry: SegmentFile, version: int, dimension: int) -> MappedSegment:
    """Map a segment after its checksum was compared. Raises SegmentError, FileNotFoundError."""
    path = directory / entry.name
    with reading(path) as file:
        found = os.fstat(file.fileno())
        if found.st_size != entry.bytes:
            raise SegmentError(f"{directory.name}/{entry.name}: wrong length")
        if checksum_of(file) != entry.crc:
            raise SegmentError(f"{directory.name}/{entry.name}: wrong checksum")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        header = json.loads(mapped[len(MAGIC) : HEADER_BYTES]) if mapped[: len(MAGIC)] == MAGIC else {}
        if [header.get(each) for each in ("format", "version", "dimension")] != [FORMAT, version, dimension]:
            raise SegmentError(f"{directory.name}/{entry.name}: another format, version or dimension")
        arrays = {
            name: np.frombuffer(mapped, dtype, int(np.prod(shape)), offset).reshape(shape)
            for name, (dtype, shape, offset) in header["arrays"].items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise SegmentError(f"{directory.name}/{entry.name}: cannot be read") from error
    rotation, gone = arrays.pop("rotation"), arrays.pop("gone")
    basis = Basis(dimension, rotation if rotation.size else None, header["head"], header["weight"])
    return MappedSegment(entry.name, Segment(basis=basis, **arrays), gone, path, found.st_ino, entry.bytes)


def segments_open(
    directory: Path, manifest: Manifest, mapped: Sequence[MappedSegment] = ()
) -> tuple[MappedSegment, ...]:
    """Map all segments of a manifest. `mapped`: segments that are mapped already, whose checksums are not read again.

    Raises SegmentError, FileNotFoundError.
    """
    known = {each.name: each for each in mapped if each.path.parent == directory and each.intact()}
    return tuple(
        known.get(entry.name) or segment_open(directory, entry, manifest.version, manifest.dimension)
        for entry in manifest.files
    )
