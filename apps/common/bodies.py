"""Request bodies while they are received or decompressed: small ones in memory, larger ones in files below `var`.

All bodies of a process share one limit, so that unfinished requests cannot fill memory or disk.
"""

import tempfile
import threading
from pathlib import Path

from apps.common import errors
from apps.common.config import Directories, Http, config
from apps.common.errors import LunaError
from apps.common.process import PerProcess

IN_MEMORY_BYTES = 256 * 1024


class BodyStore:
    """Creates bodies in `directory` that hold at most `max_bytes` in total."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory, self.max_bytes = directory, max_bytes
        self.held_bytes = 0
        self._lock = threading.Lock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def new(self) -> "Body":
        return Body(self)

    def take(self, count: int) -> None:
        """Reserve `count` bytes. Raises LunaError SERVICE_BUSY when the bodies would exceed `max_bytes`."""
        with self._lock:
            if self.held_bytes + count > self.max_bytes:
                raise LunaError(errors.SERVICE_BUSY, "too many bodies are being received", headers={"Retry-After": "5"})
            self.held_bytes += count

    def give_back(self, count: int) -> None:
        with self._lock:
            self.held_bytes -= count

    def status(self) -> dict[str, object]:
        """Return the bytes held and their limit."""
        return {"held_bytes": self.held_bytes, "max_bytes": self.max_bytes}


class Body(tempfile.SpooledTemporaryFile[bytes]):
    """A request body, written once from start to end."""

    def __init__(self, store: BodyStore) -> None:
        super().__init__(IN_MEMORY_BYTES, dir=str(store.directory))
        self._store, self._held_bytes = store, 0

    def write(self, data: bytes) -> int:  # type: ignore[override]  # only bytes are written
        """Append bytes. Raises LunaError SERVICE_BUSY as `BodyStore.take` does."""
        self._store.take(len(data))
        self._held_bytes += len(data)
        return super().write(data)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        held, self._held_bytes = self._held_bytes, 0
        self._store.give_back(held)
        super().close()


def _store() -> BodyStore:
    return BodyStore(config(Directories).tmp, config(Http).bodies_max_size)


bodies = PerProcess("request bodies", _store, status=BodyStore.status)
