"""Where the bytes lie: a folder on disk, behind the interface of Django's storages, where S3 can stand too."""

import os
import uuid
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

CHUNK_BYTES = 1024 * 1024
FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


class DiskStorage(FileSystemStorage):
    """Files below one folder. A file is there whole or not at all, and is still there after a power cut.

    Content goes to a temporary file in the same folder, which is synced and renamed; then the folder is synced. Files
    are for the platform's own user only: they are faces of people. Names are used as they are given: a second write of
    the same name replaces the file.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _save(self, name: str, content: "File[Any]") -> str:
        path = Path(self.path(name))
        make_directory(path.parent, stop=Path(self.location))
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with open(descriptor, "wb") as file:
                while chunk := content.read(CHUNK_BYTES):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
        return name

    def delete(self, name: str) -> None:
        """Removes a file for good; one that is not there is no error."""
        path = Path(self.path(name))
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_directory(path.parent)


def make_directory(path: Path, stop: Path) -> None:
    """Makes `path` and its parents down to `stop`, each synced into the one above."""
    if path.is_dir():
        return
    if path != stop:
        make_directory(path.parent, stop)
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        sync_directory(path.parent)
    else:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
