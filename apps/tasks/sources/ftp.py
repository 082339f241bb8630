"""FTP servers. Each connection goes to the checked address; data connections too, whatever the server names."""

import ftplib
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import BoundedSemaphore, Lock
from typing import TypeVar

from apps.common import errors
from apps.common.config import Images, config
from apps.common.errors import LunaError
from apps.tasks.config import Sources
from apps.tasks.sources.base import Child, Choice, Entry, Listing, Source, SourceError, shown, too_large, walk
from apps.tasks.sources.network import checked_address

T = TypeVar("T")

ATTEMPTS = 2
MAX_REPLY_CHARACTERS = 64 * 1024  # of the reply to a command
NOT_LOGGED_IN = "530"
UNKNOWN = ("500", "501", "502", "504")  # replies to a command that the server does not have
FOLDERS, FILES = frozenset({"dir"}), frozenset({"file"})  # of MLSD; links and special files have other types
# Lines of LIST: `drwxr-xr-x 2 owner group 4096 Jan 01 12:00 name` of Unix, `01-01-26 12:00PM <DIR> name` of Windows.
UNIX = re.compile(r"([-d])\S{9}\S*\s+\d+\s+\S+\s+\S+\s+\d+\s+\S+\s+\S+\s+\S+\s(.+)")
WINDOWS = re.compile(r"\d\d-\d\d-\d\d(?:\d\d)?\s+\S+\s+(<DIR>|\d+)\s+(.+)")
NETWORK = (OSError, EOFError, ftplib.Error)  # `error_perm` is an answer of the server: handle it first


class _TooLargeError(Exception):
    """The file has more bytes than a picture may have."""


class _Client(ftplib.FTP):
    """A client that ends connections whose replies are too long; the library would read them without end."""

    _received = 0

    def putcmd(self, line: str) -> None:
        self._received = 0
        super().putcmd(line)

    def getline(self) -> str:
        line = super().getline()
        self._received += len(line) + 1
        if self._received > MAX_REPLY_CHARACTERS:
            raise ftplib.error_proto("the reply is too long")  # noqa: S321 (an exception)
        return line


class Ftp(Source):
    """A directory of a server, read by at most `sessions` connections, listings included."""

    lost = errors.FTP_SERVER_UNREACHABLE

    def __init__(
        self, *, host: str, port: int, sessions: int, user: str, password: str, path: str, choice: Choice
    ) -> None:
        super().__init__()
        self.sessions = sessions
        self._host, self._port, self._user, self._password = host, port, user, password
        self._path, self._choice = path if path in ("", "/") else f"{path.rstrip('/')}/", choice
        self._free = BoundedSemaphore(sessions)
        self._lock = Lock()
        self._idle: list[ftplib.FTP] = []
        self._all: set[ftplib.FTP] = set()
        self._has_mlsd = True

    @property
    def place(self) -> str:
        return shown(f"{self._host}:{self._port} {self._path}".rstrip())

    def open(self) -> None:
        """Raises SourceError FTP_AUTHORIZATION_FAILED, FTP_SERVER_UNREACHABLE."""
        with self._connection():
            pass

    def entries(self, after: str) -> Iterator[Entry]:
        return walk(self._children, self._choice, after, code=errors.FTP_LISTING_FAILED)

    def read(self, name: str) -> bytes:
        self.alive()
        limit = config(Images).max_bytes

        def received(ftp: ftplib.FTP) -> bytes:
            data = bytearray()

            def take(chunk: bytes) -> None:
                self.alive()
                data.extend(chunk)
                if len(data) > limit:
                    raise _TooLargeError

            ftp.retrbinary(f"RETR {self._full(name)}", take)
            return bytes(data)

        try:
            return self._tried(received, errors.FTP_DOWNLOAD_FAILED, name)
        except _TooLargeError as error:
            raise too_large() from error

    def stop(self) -> None:
        super().stop()
        with self._lock:
            for ftp in self._all:
                with suppress(OSError, AttributeError):
                    ftp.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # None before `connect`

    def _children(self, folder: str) -> list[Child]:
        return self._tried(lambda ftp: self._listed(ftp, folder), errors.FTP_LISTING_FAILED, folder)

    def _listed(self, ftp: ftplib.FTP, folder: str) -> list[Child]:
        """List a directory with MLSD, or with LIST where the server does not have it."""
        listing = Listing(self.place, errors.FTP_LISTING_FAILED)

        def add(name: str, is_directory: bool, is_file: bool) -> None:
            self.alive()
            if (is_directory or is_file) and "/" not in name and name not in (".", ".."):
                listing.add(Child(_decoded(name), is_directory))

        def take_mlsd(line: str) -> None:
            facts, _, name = line.partition(" ")
            kinds = {fact.removeprefix("type=") for fact in facts.lower().split(";") if fact.startswith("type=")}
            add(name, bool(kinds & FOLDERS), bool(kinds & FILES))

        def take_list(line: str) -> None:
            if match := UNIX.fullmatch(line):
                add(match[2], match[1] == "d", match[1] == "-")
            elif match := WINDOWS.fullmatch(line):
                add(match[2], match[1] == "<DIR>", match[1] != "<DIR>")

        path = self._full(folder)
        if self._has_mlsd:
            try:
                ftp.retrlines(f"MLSD {path}" if path else "MLSD", take_mlsd)
                return listing.children
            except ftplib.error_perm as error:
                if not str(error).startswith(UNKNOWN):
                    raise
                self._has_mlsd = False
        home = ftp.pwd()
        if path:
            ftp.cwd(path)  # LIST may take a name for options
        ftp.retrlines("LIST", take_list)
        ftp.cwd(home)
        return listing.children

    def _full(self, name: str) -> str:
        """Return the path of a file for commands; a relative one begins at the directory of the login."""
        path = self._path + name.strip("/")
        return _encoded(path if path == "/" else path.rstrip("/"))

    def _tried(self, call: Callable[[ftplib.FTP], T], code: int, name: str) -> T:
        """Return the result of `call`, which a new connection repeats once if the first one breaks."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._connection() as ftp:
                    return call(ftp)
            except ftplib.error_perm as error:
                reason = f"{shown(name) or self.place}: {str(error)[:80]}"
                raise (LunaError(code, reason) if name else SourceError(code, reason)) from error
            except ValueError as error:  # a line break in the name
                raise LunaError(code, f"{shown(name)}: not a name for FTP") from error
            except NETWORK as error:
                self.alive()
                if attempt == ATTEMPTS:
                    reason = f"{shown(name) or self.place}: the connection broke"
                    raise (LunaError(code, reason) if name else SourceError(code, reason)) from error
        raise AssertionError  # pragma: no cover

    @contextmanager
    def _connection(self) -> Iterator[ftplib.FTP]:
        """Lend a connection. One that raised an error is closed, because its state is unknown."""
        with self._free:
            self.alive()
            with self._lock:
                ftp = self._idle.pop() if self._idle else None
            if ftp is None:
                ftp = self._connected()
            try:
                yield ftp
            except BaseException:
                with self._lock:
                    self._all.discard(ftp)
                ftp.close()
                raise
            with self._lock:
                self._idle.append(ftp)

    def _connected(self) -> ftplib.FTP:
        address = checked_address(self._host, self._port, unreachable=errors.FTP_SERVER_UNREACHABLE)
        # latin-1 keeps all bytes of names, whatever the server's encoding.
        ftp = _Client(timeout=float(config(Sources).silence_s), encoding="latin-1")
        with self._lock:
            self._all.add(ftp)
        try:
            ftp.connect(address, self._port)
            ftp.login(_encoded(self._user), _encoded(self._password))
        except ftplib.error_perm as error:
            ftp.close()
            if str(error).startswith(NOT_LOGGED_IN):
                raise SourceError(errors.FTP_AUTHORIZATION_FAILED, self.place) from error
            raise SourceError(errors.FTP_SERVER_UNREACHABLE, self.place) from error
        except (*NETWORK, ValueError) as error:
            ftp.close()
            raise SourceError(errors.FTP_SERVER_UNREACHABLE, self.place) from error
        return ftp

    def close(self) -> None:
        super().close()
        with self._lock:
            for ftp in self._all:
                ftp.close()
            self._all.clear()


def _encoded(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _decoded(text: str) -> str:
    return text.encode("latin-1").decode("utf-8", "surrogateescape")
