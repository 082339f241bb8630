"""The log files of an upload, which are also its memory: an interrupted upload continues from them."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Self
from uuid import UUID

import orjson

TIME = "%Y-%m-%dT%H-%M-%S"
SUCCESS, ERROR, STATE = "success_log.txt", "error_log.txt", "state.txt"


@dataclass(frozen=True, slots=True)
class Begun:
    """Faces that were about to be created: an interrupted upload repeats these requests under the same keys."""

    name: str
    bodies: tuple[Mapping[str, Any], ...]


class Journal:
    """The log files `<start>_success_log.txt`, `<start>_error_log.txt` and `<start>_state.txt` of an upload.

    Each record is a line of JSON. Methods may be called by several threads; a record is synced to the disk before a
    method returns.
    """

    def __init__(self, folder: Path, start: str) -> None:
        self.start = start
        self._folder = folder
        self._lock = threading.Lock()
        self._files: dict[str, BinaryIO] = {}

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Begin an upload in a folder of log files. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        start = datetime.now().strftime(TIME)  # local time, as an operator reads it
        number = 1
        while (folder / f"{start}_{STATE}").exists():
            start = f"{start.partition('_')[0]}_{(number := number + 1)}"
        return cls(folder, start)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()

    def path(self, name: str) -> Path:
        return self._folder / f"{self.start}_{name}"

    def opened(self, *, source: Path, list_id: str | None) -> None:
        """Record the source and the list of the upload."""
        self._write(STATE, {"source": str(source), "list id": list_id})

    def token_created(self, token_id: UUID) -> None:
        self._write(STATE, {"token id": token_id})

    def begun(self, begun: Begun) -> None:
        self._write(STATE, {"image name": begun.name, "faces": begun.bodies})

    def succeeded(self, name: str, face_ids: Sequence[str]) -> None:
        self._write(SUCCESS, {"image name": name, "face id": face_ids})

    def failed(self, name: str, error: str) -> None:
        self._write(ERROR, {"image name": name, "error": error})

    def head(self) -> tuple[Path, str | None]:
        """Return the source and the list of an earlier upload. Raises OSError, ValueError."""
        for record in self._read(STATE):
            if "source" in record:
                return Path(record["source"]), record["list id"]
        raise ValueError(f"{self.path(STATE)} is not the state of an upload.")

    def token_id(self) -> UUID | None:
        """Return the token that the command has created; None if there is none."""
        found = [UUID(record["token id"]) for record in self._read(STATE) if "token id" in record]
        return found[-1] if found else None

    def done(self) -> set[str]:
        """Return the names of the images that were loaded."""
        return {record["image name"] for record in self._read(SUCCESS)}

    def unfinished(self) -> dict[str, Begun]:
        """Return the faces that were about to be created, of images that were not loaded, by name of the image."""
        found = {
            record["image name"]: Begun(record["image name"], tuple(record["faces"]))
            for record in self._read(STATE)
            if "faces" in record
        }
        for name in self.done():
            found.pop(name, None)
        return found

    def _read(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a file, without those that a crash has cut off."""
        if not self.path(name).exists():
            return
        with self.path(name).open("rb") as file:
            for line in file:
                with suppress(orjson.JSONDecodeError):
                    yield orjson.loads(line)

    def _write(self, name: str, record: Mapping[str, Any]) -> None:
        with self._lock:
            file = self._files.get(name)
            if file is None:
                file = self._files[name] = self.path(name).open("ab")
                if file.tell() and not self._ends_a_line(name):
                    file.write(b"\n")  # the last record was cut off by a crash
            file.write(orjson.dumps(record) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _ends_a_line(self, name: str) -> bool:
        with self.path(name).open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
