"""The Image Store on disk: a durable Django storage in one folder."""

import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from apps.common.process import PerProcess

CHUNK_BYTES = 1024 * 1024
FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
SYNC_THREADS = 8
SYNC_BYTES = 8 * 1024**2  # bytes of one file after which syncing starts
SYNC_FILES = 32  # files that are synced together

_pool = PerProcess("disk syncs", lambda: ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="sync"))


class DiskStorage(FileSystemStorage):
    """A storage in one folder. Files are written atomically and survive a power cut.

    Content is written to a temporary file in the same folder and renamed; then file and folder are synced. A file is
    reported as saved only after the sync, so a power cut can truncate only files that no row refers to. Only the
    platform's user may read the files, because they show people's faces. Names are used unchanged: writing an existing
    name replaces the file.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _save(self, name: str, content: "File[Any]") -> str:
        self.save_all([(name, content)])
        return name

    def save_all(self, contents: Sequence[tuple[str, "File[Any]"]]) -> None:
        """Save all contents, or none if one fails. Syncing files together costs a disk little more than one."""
        saved: list[Path] = []
        with unlinked_on_failure(saved):
            for start in range(0, len(contents), SYNC_FILES):
                with ExitStack() as opened:
                    sync(*self._write(contents[start : start + SYNC_FILES], saved, opened))

    def begin_all(self, contents: Sequence[tuple[str, "File[Any]"]]) -> Callable[[], None]:
        """Write like `save_all`, and return a function that waits for the syncs. It must be called."""
        if len(contents) > SYNC_FILES:
            self.save_all(contents)
            return lambda: None
        saved: list[Path] = []
        with unlinked_on_failure(saved), ExitStack() as opened:
            syncing = [_pool().submit(each) for each in syncs(*self._write(contents, saved, opened))]
            files = opened.pop_all()

        def finish() -> None:
            with unlinked_on_failure(saved), files:
                wait(syncing)
                for done in syncing:
                    done.result()

        return finish

    def _write(
        self, contents: Iterable[tuple[str, "File[Any]"]], saved: list[Path], opened: ExitStack
    ) -> tuple[list[int], set[Path]]:
        """Write the files. Return the files and folders to sync; `opened` closes the files."""
        files: list[int] = []
        folders: set[Path] = set()
        for name, content in contents:
            path = Path(self.path(name))
            folders |= make_directory(path.parent, stop=Path(self.location)) | {path.parent}
            files.append(write_file(path, content))
            opened.callback(os.close, files[-1])
            saved.append(path)
        return files, folders

    def delete(self, name: str) -> None:
        """Remove a file durably. A missing file is ignored."""
        self.delete_all([name])

    def delete_all(self, names: Iterable[str]) -> None:
        """Remove files durably. If one fails, remove the others before raising its OSError."""
        failure: OSError | None = None
        folders: set[Path] = set()
        for path in map(Path, map(self.path, names)):
            try:
                path.unlink()
                folders.add(path.parent)
            except FileNotFoundError:
                continue
            except OSError as error:
                failure = error
        sync([], folders)
        if failure is not None:
            raise failure


def write_file(path: Path, content: "File[Any]") -> int:
    """Write `content` under a temporary name, rename it, and return the open file, not yet synced."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    syncing: list[Future[None]] = []  # early syncs of a large file, which shorten the last one
    unsynced = 0
    try:
        while chunk := content.read(CHUNK_BYTES):
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
            unsynced += len(chunk)
            if unsynced >= SYNC_BYTES and all(each.done() for each in syncing):
                syncing.append(_pool().submit(os.fdatasync, descriptor))
                unsynced = 0
        for each in syncing:
            each.result()  # the kernel reports a write error once
        os.replace(temporary, path)
    except BaseException:
        wait(syncing)
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
        raise
    return descriptor


def make_directory(path: Path, stop: Path) -> set[Path]:
    """Create `path` and its parents below `stop`. Return the folders with new entries, which need a sync."""
    if path.is_dir():
        return set()
    if path == stop:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        return set()
    changed = make_directory(path.parent, stop)
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    return changed | {path.parent}


@contextmanager
def unlinked_on_failure(paths: Sequence[Path]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


def syncs(files: Sequence[int], folders: Iterable[Path]) -> list[Callable[[], None]]:
    return [*(partial(os.fsync, file) for file in files), *(partial(sync_directory, folder) for folder in folders)]


def sync(files: Sequence[int], folders: Iterable[Path]) -> None:
    """Sync open files and folders concurrently, which costs little more than one sync."""
    work = syncs(files, folders)
    syncing = [_pool().submit(each) for each in work[1:]]
    try:
        if work:
            work[0]()  # this thread takes part instead of waiting
    finally:
        wait(syncing)
    for done in syncing:
        done.result()


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
