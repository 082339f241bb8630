"""ZIP archives: whose they are, how large, and what is in them."""

import io
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pyzipper

from apps.accounts.models import Account
from apps.common import errors
from apps.common.config import ExternalAddress, Images, OutgoingRequests, config
from apps.common.scope import Scope
from apps.imagestore.addresses import object_address
from apps.imagestore.choices import Bucket
from apps.imagestore.services import object_store
from apps.tasks.config import Sources
from apps.tasks.sources.base import SourceError
from tests.factories import make_account
from tests.file_servers import http_server
from tests.unit.tasks.sources.helpers import FILES, ORDER, read_all

Configure = Callable[..., None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with http_server(folder) as address:
        yield address


@pytest.fixture(autouse=True)
def allowed(configure: Configure) -> None:
    configure(OutgoingRequests, allow_private_urls=True)


@pytest.fixture
def read(folder: Path, address: str, tmp_path: Path) -> Callable[..., dict[str, bytes | int]]:
    """Serve the bytes of an archive, and read it."""

    def read(data: bytes, password: str | None = None, **members: Any) -> dict[str, bytes | int]:
        (folder / "a.zip").write_bytes(data)
        login = {} if password is None else {"authorization": {"password": password}}
        found = read_all({"source_type": "zip", "reference": f"{address}/a.zip", **login, **members}, tmp_path)
        assert not list(tmp_path.iterdir())  # the download is removed
        return found

    return read


def packed(files: Mapping[Any, bytes] = FILES, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def encrypted(password: str, files: dict[str, bytes] = FILES) -> bytes:
    buffer = io.BytesIO()
    with pyzipper.AESZipFile(buffer, "w", encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password.encode())
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def failure(read: Callable[..., Any], *args: Any, **members: Any) -> str:
    with pytest.raises(SourceError) as raised:
        read(*args, **members)
    assert raised.value.code == errors.ARCHIVE_READ_FAILED
    return raised.value.detail


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_files_in_order(read: Any, compression: int) -> None:
    found = read(packed(compression=compression))
    assert list(found) == ORDER
    assert found == FILES


def test_choice(read: Any) -> None:
    assert list(read(packed(), prefix="b/", postfix=".jpg")) == ["b/c.jpg"]
    assert list(read(packed(), recursive=0)) == ["a.jpg", "b-a.jpg", "z.txt", "ä b.jpg"]


def test_passwords(read: Any) -> None:
    data = encrypted("mot de passe é")
    assert read(data, "mot de passe é") == FILES
    assert read(packed(), "needless") == FILES
    assert "the password is wrong" in failure(read, data, "wrong")
    assert "`authorization.password`" in failure(read, data)


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"no archive" * 100, packed()[:-30], packed()[30:-1]],
    ids=["0 bytes", "2", "text", "end", "cut"],
)
def test_damaged_archives(read: Any, data: bytes) -> None:
    assert "not a readable ZIP archive" in failure(read, data)


def test_a_damaged_member(read: Any) -> None:
    data = packed({"a.jpg": b"a" * 100, "b.jpg": b"b" * 100}, zipfile.ZIP_STORED)
    assert read(data.replace(b"aaaa", b"axaa", 1)) == {"a.jpg": errors.FILE_READ_FAILED, "b.jpg": b"b" * 100}


def test_refused_names_and_links(read: Any) -> None:
    link = zipfile.ZipInfo("link.jpg")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    names = ["../a.jpg", "/b.jpg", "c/../../d.jpg", "C:/e.jpg"]
    found = read(packed({**dict.fromkeys(names, b"1"), link: b"/etc/passwd", "f.jpg": b"2", "folder/": b""}))
    assert found == {**dict.fromkeys([*names, "link.jpg"], errors.FILE_READ_FAILED), "f.jpg": b"2"}


def test_a_nested_archive_is_a_file(read: Any) -> None:
    inner = packed()
    assert read(packed({"inner.zip": inner})) == {"inner.zip": inner}


def test_of_two_members_of_one_name_the_last_one_counts(read: Any) -> None:
    twice = packed({"a.jpg": b"1", "b.jpg": b"2"}).replace(b"b.jpg", b"a.jpg")
    assert read(twice) == {"a.jpg": b"2"}


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_bombs_end_at_the_size_of_a_picture(read: Any, configure: Configure, compression: int) -> None:
    configure(Images, max_bytes=1000)
    bomb = packed({"a.jpg": bytes(5_000_000), "b.jpg": b"1"}, compression)
    assert read(bomb) == {"a.jpg": errors.INVALID_IMAGE_SIZE, "b.jpg": b"1"}


def test_a_size_that_lies(read: Any, configure: Configure) -> None:
    """The header claims 1 byte for a member that unpacks to a million."""
    configure(Images, max_bytes=1000)
    data = packed({"a.jpg": bytes(1_000_000)})
    lying = data.replace(struct.pack("<L", 1_000_000), struct.pack("<L", 1))
    assert read(lying) == {"a.jpg": errors.FILE_READ_FAILED}


def test_a_size_of_100_gb_in_the_header(read: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.jpg", "b.jpg"):
            archive.writestr(name, b"1")
        archive.getinfo("a.jpg").file_size = 100 * 1024**3
    assert read(buffer.getvalue()) == {"a.jpg": b"1", "b.jpg": b"1"}  # what is there, and no memory for the rest


class TestSizes:
    def test_of_the_archive(self, read: Any, configure: Configure) -> None:
        data = packed()
        configure(Sources, archive_max_size=len(data))
        assert read(data) == FILES
        configure(Sources, archive_max_size=len(data) - 1)
        assert f"more than {len(data) - 1} bytes" in failure(read, data)

    def test_of_the_disk(self, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        free = shutil._ntuple_diskusage(10**12, 0, 1024**3 + 10)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
        assert "no space" in failure(read, packed())

    def test_of_the_directory(self, read: Any, configure: Configure) -> None:
        configure(Sources, archive_max_files=len(FILES))
        assert read(packed()) == FILES
        configure(Sources, archive_max_files=len(FILES) - 1)
        assert f"more than {len(FILES) - 1} files" in failure(read, packed())

    def test_of_a_directory_that_lies(self, read: Any, configure: Configure) -> None:
        """The end record claims one member; the directory has all."""
        configure(Sources, archive_max_files=len(FILES) - 1)
        data = bytearray(packed())
        end = data.rindex(b"PK\x05\x06")
        data[end + 8 : end + 12] = struct.pack("<HH", 1, 1)
        assert "files" in failure(read, bytes(data))

    def test_of_a_directory_of_other_data(self, read: Any) -> None:
        data = bytearray(bytes(1_000_000) + packed({}))
        struct.pack_into("<LL", data, 1_000_000 + 12, 1_000_000, 0)
        assert "not a readable ZIP archive" in failure(read, bytes(data))

    def test_zip64(self, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 3)
        data = packed()
        assert b"PK\x06\x06" in data
        assert read(data) == FILES


class TestAddresses:
    def test_of_private_servers(self, read: Any, configure: Configure) -> None:
        configure(OutgoingRequests, allow_private_urls=False)
        assert failure(read, packed()).endswith("the download failed")

    def test_without_an_archive(self, address: str, tmp_path: Path) -> None:
        secret = f"{address}/nothing?key=secret"
        with pytest.raises(SourceError) as raised:
            read_all({"source_type": "zip", "reference": secret}, tmp_path)
        assert raised.value.code == errors.ARCHIVE_READ_FAILED
        assert "secret" not in raised.value.detail


@pytest.mark.django_db
class TestObjects:
    @pytest.fixture
    def account(self) -> Account:
        return make_account()

    @pytest.fixture
    def stored(self, account: Account) -> str:
        row = object_store(
            bucket=Bucket.OBJECTS, account_id=account.account_id, data=packed(), content_type="application/zip"
        )
        return object_address(Bucket.OBJECTS, row.object_id)

    def test_of_the_account(self, account: Account, stored: str, tmp_path: Path) -> None:
        scope = Scope(account.account_id)
        for reference in (stored, config(ExternalAddress).origin + stored):
            assert read_all({"source_type": "zip", "reference": reference}, tmp_path, scope) == FILES

    def test_of_others(self, stored: str, account: Account, tmp_path: Path, configure: Configure) -> None:
        other, own = Scope(make_account().account_id), Scope(account.account_id)
        missing = object_address(Bucket.OBJECTS, uuid4())
        details = []
        for scope, reference in ((other, stored), (own, missing), (own, "/etc/passwd")):
            with pytest.raises(SourceError) as raised:
                read_all({"source_type": "zip", "reference": reference}, tmp_path, scope)
            details.append(raised.value.detail.partition(": ")[2])
        assert details[0] == details[1] == "the object does not exist"
        configure(Sources, archive_max_size=10)
        with pytest.raises(SourceError, match="28026"):
            read_all({"source_type": "zip", "reference": stored}, tmp_path, own)
