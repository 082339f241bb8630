"""The contract of a source: its files in a stable order, each read as bytes."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from apps.common import errors
from apps.common.config import Images, config
from apps.common.errors import LunaError

MAX_DEPTH = 64  # nested directories
MAX_CHILDREN, MAX_CHARACTERS = 1_000_000, 256_000_000  # of the listing of one directory by a server


class SourceError(LunaError):
    """The whole source failed; the task cannot go on."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a source. `error`: why it, or a directory, cannot be read; then `name` is only a position."""

    name: str
    error: LunaError | None = None


@dataclass(frozen=True, slots=True)
class Child:
    """A member of a directory. Links that are not followed and special files are no members."""

    name: str
    is_directory: bool


class Listing:
    """The members of a directory that a server lists. `place`, `code`: of the error for too many members."""

    def __init__(self, place: str, code: int) -> None:
        self._place, self._code = place, code
        self.children: list[Child] = []
        self._characters = 0

    def add(self, child: Child) -> None:
        """Add a member. Raises SourceError for more than fit into the memory of a worker."""
        self.children.append(child)
        self._characters += len(child.name)
        if len(self.children) > MAX_CHILDREN or self._characters > MAX_CHARACTERS:
            raise SourceError(
                self._code, f"{self._place}: a directory has more than {MAX_CHILDREN} files, or too long names"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The files that a client wants: beginning and end of their names, and whether nested ones count.

    Names are relative to the source's directory, with `/` between their parts. Without `recursive`, a file counts if
    no directory follows the prefix: the prefix `2022/January` selects the files of that directory.
    """

    prefix: str = ""
    postfix: str = ""
    recursive: bool = True

    def takes(self, name: str) -> bool:
        return name.startswith(self.prefix) and name.endswith(self.postfix) and not self._is_nested(name)

    def enters(self, directory: str) -> bool:
        """Return whether a directory, whose name ends with `/`, can contain wanted files."""
        if self.prefix.startswith(directory):
            return True
        return directory.startswith(self.prefix) and not self._is_nested(directory)

    def _is_nested(self, name: str) -> bool:
        return not self.recursive and "/" in name[len(self.prefix) :].removeprefix("/")


class Source(ABC):
    """Files of one place. A context manager. Its methods can block and run in other threads, unless they say so.

    `sessions`: the number of threads that may call `read` concurrently. `lost`: the error of a source that does not
    answer any more. `active`: time of the last sign of life, of `time.monotonic`.
    """

    sessions: int = 1
    lost: int = errors.DIRECTORY_READ_FAILED

    def __init__(self) -> None:
        self.active = time.monotonic()
        self.stopped = False

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    @abstractmethod
    def place(self) -> str:
        """The place, for details of errors: without secrets."""

    def prepare(self) -> None:
        """Read what the database knows, in the thread of the task. Raises SourceError."""
        return

    def open(self) -> None:
        """Connect. Raises SourceError."""
        return

    @abstractmethod
    def entries(self, after: str) -> Iterator[Entry]:
        """Yield the wanted files whose names are greater than `after`, in increasing order of code points.

        Raises SourceError.
        """

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the bytes of a file, at most those of a picture.

        Raises LunaError if this file cannot be read or is larger, SourceError if the source cannot be read any more.
        """

    def origin(self, name: str) -> str | None:
        """Return the address of a file that its events keep as source image, if they shall."""
        return None

    def stop(self) -> None:
        """End calls that block in other threads as soon as possible. Never blocks."""
        self.stopped = True

    def close(self) -> None:
        self.stop()

    def alive(self) -> None:
        """Note a sign of life. Raises SourceError after `stop`."""
        self.active = time.monotonic()
        if self.stopped:
            raise SourceError(self.lost, self.place)


def walk(
    children: Callable[[str], Iterable[Child]], choice: Choice, after: str, *, code: int, folder: str = ""
) -> Iterator[Entry]:
    """Yield the wanted files below `folder`, in the order of `Source.entries`.

    `children`: lists a directory by its name, which is empty or ends with `/`; LunaError leaves the directory out,
    SourceError ends the walk. `code`: the error of a directory that is nested too deeply.
    """
    # A directory sorts by its name with the slash, so that a walk in depth gives the order of whole names.
    for key in sorted(f"{child.name}/" if child.is_directory else child.name for child in children(folder)):
        name = folder + key
        if not key.endswith("/"):
            if name > after and choice.takes(name):
                yield Entry(name)
        elif choice.enters(name) and (name > after or after.startswith(name)):
            try:
                if name.count("/") > MAX_DEPTH:
                    raise LunaError(code, f"{shown(name)}: more than {MAX_DEPTH} nested directories")
                yield from walk(children, choice, after, code=code, folder=name)
            except SourceError:
                raise
            except LunaError as error:
                if name > after:
                    yield Entry(name, error)


def bounded(read: Callable[[int], bytes]) -> bytes:
    """Return the bytes of a picture from `read`, which takes a number of bytes and returns at most as many.

    Raises LunaError INVALID_IMAGE_SIZE for more bytes than a picture may have, before it reads them.
    """
    limit, data = config(Images).max_bytes, bytearray()
    while chunk := read(min(limit + 1 - len(data), 1024**2)):
        data += chunk
        if len(data) > limit:
            raise too_large()
    return bytes(data)


def too_large() -> LunaError:
    return LunaError(errors.INVALID_IMAGE_SIZE, f"more than {config(Images).max_bytes} bytes")


def shown(name: str) -> str:
    """Return a file's name as text for people, JSON and PostgreSQL: other bytes and NUL are escaped."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def position(name: str) -> str:
    """Return a file's name as plain text for checkpoints; `name_at` reverses it."""
    return name.encode("unicode_escape").decode("ascii")


def name_at(text: str) -> str:
    """Return the name of a position."""
    return text.encode("ascii").decode("unicode_escape")
