"""Shares of Samba and Windows servers, by SMB 2 and 3.

Below the directory client of smbprotocol, which would follow referrals to other servers (DFS).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from uuid import uuid4

from smbprotocol.connection import Connection
from smbprotocol.exceptions import (
    AccessDenied,
    BadNetworkName,
    LogonFailure,
    NoMoreFiles,
    NoSuchFile,
    ObjectNameNotFound,
    ObjectPathNotFound,
    PasswordExpired,
    SMBAuthenticationError,
    SMBConnectionClosed,
    SMBException,
    SMBResponseException,
)
from smbprotocol.file_info import FileAttributes, FileInformationClass
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    DirectoryAccessMask,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    QueryDirectoryFlags,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.tasks.config import Sources
from apps.tasks.sources.base import Child, Choice, Entry, Listing, Source, SourceError, bounded, shown, walk
from apps.tasks.sources.network import checked_address

T = TypeVar("T")

GUEST = "guest"
CHUNK_BYTES = 64 * 1024  # every version of SMB 2 allows it
DENIED = (SMBAuthenticationError, LogonFailure, PasswordExpired)
MISSING = (BadNetworkName, NoSuchFile, ObjectNameNotFound, ObjectPathNotFound, AccessDenied)
END = (NoMoreFiles, NoSuchFile)
SPECIAL = FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT  # a link


class Samba(Source):
    """A directory of a share. `path`: `share/directory`. Without `user`: as guest, whose messages are not signed."""

    sessions = 4
    lost = errors.SAMBA_UNREACHABLE

    def __init__(
        self, *, host: str, port: int, user: str | None, password: str | None, path: str, choice: Choice
    ) -> None:
        super().__init__()
        self._host, self._port, self._user, self._password = host, port, user, password
        share, _, folder = path.strip("/").partition("/")
        self._share, self._folder, self._choice = share, folder.strip("/"), choice
        self._connection: Connection | None = None
        self._tree: TreeConnect | None = None

    @property
    def place(self) -> str:
        return shown(f"//{self._host}:{self._port}/{self._share}/{self._folder}")

    def open(self) -> None:
        """Raises SourceError SAMBA_AUTHORIZATION_FAILED, SAMBA_UNREACHABLE, and SAMBA_UNKNOWN_ERROR for the share."""
        address = checked_address(self._host, self._port, unreachable=errors.SAMBA_UNREACHABLE)
        signed = self._user is not None
        try:
            self._connection = Connection(uuid4(), address, self._port, require_signing=signed)
            self._connection.connect(timeout=config(Sources).silence_s)
        except (SMBException, OSError, ValueError) as error:
            raise SourceError(errors.SAMBA_UNREACHABLE, self.place) from error
        self.alive()
        try:
            session = Session(
                self._connection,
                username=self._user if signed else GUEST,
                password=(self._password or "") if signed else "",
                require_encryption=False,
                auth_protocol="ntlm",
            )
            session.connect()
        except DENIED as error:
            raise SourceError(errors.SAMBA_AUTHORIZATION_FAILED, self.place) from error
        except SMBResponseException as error:
            raise self._unknown(error) from error
        except (SMBConnectionClosed, OSError) as error:
            raise SourceError(errors.SAMBA_UNREACHABLE, self.place) from error
        except (SMBException, ValueError) as error:
            # Among others: the server takes an unknown user for a guest (Samba's `map to guest`), whose session has no
            # signatures.
            raise SourceError(errors.SAMBA_AUTHORIZATION_FAILED, self.place) from error
        self.alive()
        try:
            # The share's name has the address, so that no second look-up of the name can lead elsewhere.
            self._tree = TreeConnect(session, rf"\\{address}\{self._share}")
            self._tree.connect(require_secure_negotiate=signed)
        except AccessDenied as error:
            raise SourceError(errors.SAMBA_AUTHORIZATION_FAILED, self.place) from error
        except (SMBException, ValueError) as error:
            raise self._unknown(error) from error

    def entries(self, after: str) -> Iterator[Entry]:
        return walk(self._children, self._choice, after, code=errors.SAMBA_UNKNOWN_ERROR)

    def read(self, name: str) -> bytes:
        self.alive()
        try:
            with self._opened(name, is_directory=False) as file:
                return bounded(_reader(file, self.alive))
        except (SMBException, OSError, ValueError) as error:
            raise self._of_file(error, errors.SAMBA_DOWNLOAD_FAILED, name) from error

    def _children(self, folder: str) -> list[Child]:
        self.alive()
        listing = Listing(self.place, errors.SAMBA_UNKNOWN_ERROR)
        try:
            with self._opened(folder, is_directory=True) as directory:
                for child in _listed(directory, self.alive):
                    listing.add(child)
                return listing.children
        except (SMBException, OSError, ValueError) as error:
            raise self._of_file(error, errors.SAMBA_UNKNOWN_ERROR, folder) from error

    @contextmanager
    def _opened(self, name: str, *, is_directory: bool) -> Iterator[Open]:
        assert self._tree is not None  # noqa: S101
        path = "\\".join(part for part in (*self._folder.split("/"), *name.strip("/").split("/")) if part)
        mask = DirectoryAccessMask.FILE_LIST_DIRECTORY if is_directory else FilePipePrinterAccessMask.FILE_READ_DATA
        kind = CreateOptions.FILE_DIRECTORY_FILE if is_directory else CreateOptions.FILE_NON_DIRECTORY_FILE
        opened = Open(self._tree, path)
        opened.create(
            ImpersonationLevel.Impersonation,
            mask | FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES,
            FileAttributes.FILE_ATTRIBUTE_DIRECTORY if is_directory else FileAttributes.FILE_ATTRIBUTE_NORMAL,
            ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE,
            CreateDisposition.FILE_OPEN,
            kind,
        )
        try:
            yield opened
        finally:
            with suppress(SMBException, OSError, ValueError):
                opened.close()

    def _of_file(self, error: Exception, code: int, name: str) -> LunaError:
        """Return the error of a file or directory, or that of the source if the server does not answer any more."""
        if not isinstance(error, SMBResponseException):
            return SourceError(errors.SAMBA_UNREACHABLE, self.place)
        reason = f"{shown(name) or self.place}: {type(error).__name__}"
        return LunaError(code, reason) if name else SourceError(code, reason)

    def _unknown(self, error: Exception) -> SourceError:
        return SourceError(errors.SAMBA_UNKNOWN_ERROR, f"{self.place}: {type(error).__name__}")

    def stop(self) -> None:
        super().stop()
        transport = None if self._connection is None else self._connection.transport
        if transport is not None:
            with suppress(OSError, SMBException):
                transport.close()


def _reader(file: Open, alive: Callable[[], None]) -> Callable[[int], bytes]:
    """Return a function that reads the next bytes of a file, none at its end."""
    offset = 0

    def read(size: int) -> bytes:
        nonlocal offset
        alive()
        wanted = min(size, CHUNK_BYTES, file.end_of_file - offset)
        if wanted <= 0:
            return b""
        data: bytes = file.read(offset, wanted)
        offset += len(data)
        return data

    return read


def _listed(directory: Open, alive: Callable[[], None]) -> Iterator[Child]:
    flags = QueryDirectoryFlags.SMB2_RESTART_SCANS
    while True:
        alive()
        try:
            found = directory.query_directory("*", FileInformationClass.FILE_DIRECTORY_INFORMATION, flags)
        except END:
            return
        flags = 0
        for each in found:
            name = each["file_name"].get_value().decode("utf-16-le", "surrogatepass")
            attributes = each["file_attributes"]
            if name not in (".", "..") and "/" not in name and not attributes.has_flag(SPECIAL):
                yield Child(name, attributes.has_flag(FileAttributes.FILE_ATTRIBUTE_DIRECTORY))
