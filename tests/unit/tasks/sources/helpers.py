"""A folder of files, and the reading of sources as the estimator does."""

from pathlib import Path
from typing import Any

from apps.accounts.auth.principal import Actor
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.validation import checked_data
from apps.tasks.sources.base import Source
from apps.tasks.sources.content import PictureSourceSerializer, source_of
from apps.tasks.sources.reading import Reader

FILES = {"a.jpg": b"1", "b/c.jpg": b"2", "b/d/e.png": b"3", "b-a.jpg": b"4", "ä b.jpg": b"5", "z.txt": b"666"}
ORDER = ["a.jpg", "b-a.jpg", "b/c.jpg", "b/d/e.png", "z.txt", "ä b.jpg"]  # by code points: `-` is before `/`


def write_files(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def source(members: dict[str, Any], directory: Path, scope: Scope | None = None) -> Source:
    given = checked_data(PictureSourceSerializer, members)
    return source_of(given, scope=scope or Scope(None), actor=Actor(), directory=directory)


def read_all(
    members: dict[str, Any], directory: Path, scope: Scope | None = None, *, after: str = "", check: Any = lambda: None
) -> dict[str, bytes | int]:
    """Return the bytes of each file, or the code of its error, in the source's order."""
    with source(members, directory, scope) as opened, Reader(opened, check) as reader:
        reader.open()
        return {entry.name: data.code if isinstance(data, LunaError) else data for entry, data in reader.files(after)}
