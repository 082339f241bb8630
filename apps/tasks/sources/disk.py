"""Directories that are mounted in the workers.

Files are opened part by part below an allowed directory, and no part may be a link. Renamed directories and new links
therefore never lead outside, even while a task runs. An allowed link is resolved first, and its target is opened so.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.tasks.config import Sources
from apps.tasks.sources.base import Child, Choice, Entry, Source, SourceError, bounded, shown, walk

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe does not block
LINKED = (errno.ELOOP, errno.ENOTDIR)  # what opening a link gives
AWAY = (errno.ESTALE, errno.EIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EREMOTEIO)


def check_path(path: str, *, target: str | None = None) -> None:
    """Check a client's path without the disk, or the `target` of its links, which the error does not name.

    Raises LunaError NETWORK_DISK_UNAVAILABLE outside allowed directories.
    """
    if _root_of(os.path.normpath(path) if target is None else target) is None:
        raise SourceError(errors.NETWORK_DISK_UNAVAILABLE, f"{shown(path)}: it is not in an allowed directory")


class Disk(Source):
    """A directory. `follow_links`: whether links count whose targets are in an allowed directory."""

    sessions = 4
    lost = errors.NETWORK_DISK_UNAVAILABLE

    def __init__(self, *, path: str, follow_links: bool, choice: Choice) -> None:
        super().__init__()
        self._path, self._follows, self._choice = path, follow_links, choice
        self._base = os.path.normpath(path)

    @property
    def place(self) -> str:
        return shown(self._path)

    def open(self) -> None:
        """Raises SourceError NETWORK_DISK_UNAVAILABLE outside allowed directories, DIRECTORY_READ_FAILED."""
        check_path(self._path)
        self._base = os.path.realpath(self._path)
        check_path(self._path, target=self._base)
        try:
            os.close(_opened(self._base, FOLDER))
        except OSError as error:
            raise self._failed(error, errors.DIRECTORY_READ_FAILED) from error

    def entries(self, after: str) -> Iterator[Entry]:
        return walk(self._children, self._choice, after, code=errors.DIRECTORY_READ_FAILED)

    def read(self, name: str) -> bytes:
        self.alive()
        try:
            descriptor = _opened(self._target(f"{self._base}/{name}"), FILE)
        except OSError as error:
            raise self._failed(error, errors.FILE_READ_FAILED, name) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise LunaError(errors.FILE_READ_FAILED, f"{shown(name)}: not a plain file")
            return bounded(lambda size: os.read(descriptor, size))
        except OSError as error:
            raise self._failed(error, errors.FILE_READ_FAILED, name) from error
        finally:
            os.close(descriptor)

    def _children(self, folder: str) -> Iterator[Child]:
        self.alive()
        try:
            descriptor = _opened(self._target(f"{self._base}/{folder}"), FOLDER)
        except OSError as error:
            raise self._failed(error, errors.DIRECTORY_READ_FAILED, folder) from error
        try:
            with os.scandir(descriptor) as found:
                for each in found:
                    self.alive()
                    if each.is_dir(follow_symlinks=False) or each.is_file(follow_symlinks=False):
                        yield Child(each.name, each.is_dir(follow_symlinks=False))
                    elif self._follows and each.is_symlink():
                        yield from self._linked(folder, each.name)
        except OSError as error:
            raise self._failed(error, errors.DIRECTORY_READ_FAILED, folder) from error
        finally:
            os.close(descriptor)

    def _linked(self, folder: str, name: str) -> Iterator[Child]:
        """Yield the member that a link stands for, if any: a target in an allowed directory, and no cycle."""
        with suppress(OSError):
            target = os.path.realpath(f"{self._base}/{folder}{name}", strict=True)
            if _root_of(target) is None:
                return
            if not os.path.isdir(target):
                yield Child(name, False)
                return
            parts = folder.split("/")[:-1]
            above = {os.path.realpath("/".join((self._base, *parts[:count]))) for count in range(len(parts) + 1)}
            if not any(f"{each}/".startswith(f"{target}/") for each in above):
                yield Child(name, True)

    def _target(self, path: str) -> str:
        """Return the path to open, which differs only where links are followed."""
        return os.path.realpath(path) if self._follows else path.rstrip("/")

    def _failed(self, error: OSError, code: int, name: str = "") -> LunaError:
        reason = f"{shown(name) or self.place}: {os.strerror(error.errno) if error.errno else 'it cannot be read'}"
        if error.errno in AWAY:
            return SourceError(errors.NETWORK_DISK_UNAVAILABLE, reason)
        return LunaError(code, reason) if name else SourceError(code, reason)


def _root_of(path: str) -> str | None:
    """Return the allowed directory that contains a normal path, None outside of all."""
    for root in config(Sources).disk_directories:
        for form in (os.path.normpath(root), os.path.realpath(root)):
            if Path(path).is_relative_to(form):
                return form
    return None


def _opened(path: str, flags: int) -> int:
    """Open a path without links in any part below its allowed directory. Raises OSError."""
    root = _root_of(path)
    if root is None:
        raise PermissionError(errno.EACCES, "outside allowed directories")
    parts = Path(path).relative_to(root).parts
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(parts, 1):
        try:
            inner = os.open(part, flags if number == len(parts) else FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor
