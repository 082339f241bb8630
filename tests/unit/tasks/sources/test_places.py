"""Directories and file servers: the same files in the same order, and the errors of each."""

import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from apps.common import errors
from apps.common.config import Images, OutgoingRequests
from apps.common.errors import LunaError
from apps.tasks.config import Sources
from apps.tasks.sources.base import MAX_DEPTH, SourceError, name_at, position, shown
from apps.tasks.sources.reading import Reader
from apps.tasks.sources.s3 import ATTEMPTS
from tests.file_servers import (
    PASSWORD,
    SHARE,
    USER,
    ftp_server,
    refusing_server,
    silent_server,
    smb_server,
    stalling_proxy,
)
from tests.ports import free_port
from tests.storages import BUCKET, client, s3_server
from tests.unit.tasks.sources.helpers import FILES, ORDER, read_all, source, write_files

Configure = Callable[..., None]
KEYS = {"public_access_key": "test", "secret_access_key": "test"}
LOGIN = {"user": USER, "password": PASSWORD}
PATIENCE_S = 30  # many times the nominal duration, and half of the shortest one of a fault


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def places(folder: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """The members `source` of one folder behind each server."""
    with ExitStack() as stack:
        ftp = stack.enter_context(ftp_server(folder, sessions=2))
        plain_ftp = stack.enter_context(ftp_server(folder, mlsd=False))
        smb = stack.enter_context(smb_server(folder))
        guests = stack.enter_context(smb_server(folder, guests=True))
        endpoint = stack.enter_context(s3_server())
        for name, data in FILES.items():
            client(endpoint).put_object(Bucket=BUCKET, Key=name, Body=data)
        client(endpoint).put_object(Bucket=BUCKET, Key="b/", Body=b"")  # as consoles create folders
        local = {"host": "127.0.0.1"}
        s3 = {"source_type": "s3", "bucket_name": BUCKET, "endpoint": endpoint}
        yield {
            "disk": {"source_type": "network_disk", "path": str(folder)},
            "ftp": {"source_type": "ftp", **local, "port": ftp, "max_sessions": 1, "authorization": LOGIN},
            "ftp without MLSD": {"source_type": "ftp", **local, "port": plain_ftp, "authorization": LOGIN},
            "samba": {"source_type": "samba", **local, "port": smb, "path": SHARE, "authorization": LOGIN},
            "samba as guest": {"source_type": "samba", **local, "port": guests, "path": f"/{SHARE}/"},
            "s3v4": {**s3, "authorization": KEYS},
            "s3v2": {**s3, "authorization": {**KEYS, "signature_version": "s3v2"}},
        }


@pytest.fixture(autouse=True)
def allowed(configure: Configure, folder: Path) -> None:
    configure(OutgoingRequests, allow_private_urls=True)
    configure(Sources, disk_directories=(str(folder),), silence_s=5)


EACH = ["disk", "ftp", "ftp without MLSD", "samba", "samba as guest", "s3v4", "s3v2"]


@pytest.mark.parametrize("place", EACH)
def test_files_in_order(places: dict[str, Any], place: str, tmp_path: Path) -> None:
    found = read_all(places[place], tmp_path)
    assert list(found) == ORDER
    assert found == FILES


@pytest.mark.parametrize("place", EACH)
@pytest.mark.parametrize("after", [ORDER[2], ORDER[3]])
def test_continues_after_a_file(places: dict[str, Any], place: str, after: str, tmp_path: Path) -> None:
    assert list(read_all(places[place], tmp_path, after=after)) == ORDER[ORDER.index(after) + 1 :]


@pytest.mark.parametrize("place", EACH)
@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"recursive": 0}, ["a.jpg", "b-a.jpg", "z.txt", "ä b.jpg"]),
        ({"prefix": "b"}, ["b-a.jpg", "b/c.jpg", "b/d/e.png"]),
        ({"prefix": "b/", "recursive": 0}, ["b/c.jpg"]),
        ({"prefix": "b", "recursive": 0}, ["b-a.jpg", "b/c.jpg"]),
        ({"postfix": ".jpg", "prefix": "b/"}, ["b/c.jpg"]),
        ({"prefix": "b/d/e", "postfix": "e.png"}, ["b/d/e.png"]),
        ({"prefix": "c"}, []),
    ],
)
def test_choice(places: dict[str, Any], place: str, choice: dict[str, Any], names: list[str], tmp_path: Path) -> None:
    assert list(read_all({**places[place], **choice}, tmp_path)) == names


@pytest.mark.parametrize("place", ["disk", "ftp", "samba", "s3v4"])
def test_large_files_are_errors(places: dict[str, Any], place: str, configure: Configure, tmp_path: Path) -> None:
    configure(Images, max_bytes=2)
    found = read_all(places[place], tmp_path)
    assert found == FILES | {"z.txt": errors.INVALID_IMAGE_SIZE}


def failure(members: dict[str, Any], directory: Path) -> SourceError:
    with pytest.raises(SourceError) as raised:
        read_all(members, directory)
    assert PASSWORD not in raised.value.detail
    return raised.value


WRONG = {"user": USER, "password": "wrong"}


@pytest.mark.parametrize(
    ("place", "members", "code"),
    [
        ("disk", {"path": "/etc"}, errors.NETWORK_DISK_UNAVAILABLE),
        ("ftp", {"authorization": WRONG}, errors.FTP_AUTHORIZATION_FAILED),
        ("ftp", {"path": "nowhere"}, errors.FTP_LISTING_FAILED),
        ("ftp without MLSD", {"path": "nowhere"}, errors.FTP_LISTING_FAILED),
        ("ftp", {"host": "host.invalid"}, errors.FTP_SERVER_UNREACHABLE),
        ("samba", {"authorization": WRONG}, errors.SAMBA_AUTHORIZATION_FAILED),
        ("samba", {"authorization": {"user": "nobody", "password": "wrong"}}, errors.SAMBA_AUTHORIZATION_FAILED),
        ("samba", {"authorization": {"user": USER}}, errors.SAMBA_AUTHORIZATION_FAILED),
        ("samba as guest", {"authorization": LOGIN}, errors.SAMBA_AUTHORIZATION_FAILED),
        ("samba", {"path": f"{SHARE}/nowhere"}, errors.SAMBA_UNKNOWN_ERROR),
        ("samba", {"path": "NOTHING"}, errors.SAMBA_UNKNOWN_ERROR),
        ("samba", {"host": "host.invalid"}, errors.SAMBA_UNREACHABLE),
        ("s3v4", {"bucket_name": "nowhere"}, errors.DIRECTORY_READ_FAILED),
        ("s3v4", {"endpoint": "http://host.invalid"}, errors.DIRECTORY_READ_FAILED),
    ],
)
def test_errors_of_places(
    places: dict[str, Any], place: str, members: dict[str, Any], code: int, tmp_path: Path
) -> None:
    assert failure({**places[place], **members}, tmp_path).code == code


def test_samba_refuses_guests(places: dict[str, Any], tmp_path: Path) -> None:
    guest = {name: value for name, value in places["samba"].items() if name != "authorization"}
    assert failure(guest, tmp_path).code == errors.SAMBA_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("disk", errors.FILE_READ_FAILED),
        ("ftp", errors.FTP_DOWNLOAD_FAILED),
        ("samba", errors.SAMBA_DOWNLOAD_FAILED),
        ("s3v4", errors.FILE_READ_FAILED),
    ],
)
def test_a_file_that_was_deleted_since_the_listing(
    places: dict[str, Any], place: str, code: int, tmp_path: Path
) -> None:
    with source(places[place], tmp_path) as opened:
        opened.open()
        for name in ("gone.jpg", "b/gone.jpg"):
            with pytest.raises(LunaError) as caught:
                opened.read(name)
            assert (caught.value.code, name in caught.value.detail) == (code, True)
        assert opened.read("a.jpg") == FILES["a.jpg"]


@pytest.mark.parametrize("place", ["ftp", "samba", "s3v4"])
def test_private_addresses_are_refused(
    places: dict[str, Any], place: str, configure: Configure, tmp_path: Path
) -> None:
    configure(OutgoingRequests, allow_private_urls=False)
    error = failure(places[place], tmp_path)
    assert error.code in (
        errors.FTP_SERVER_UNREACHABLE,
        errors.SAMBA_UNREACHABLE,
        errors.DIRECTORY_READ_FAILED,
    )
    assert "not public" not in error.detail


@pytest.mark.parametrize(
    ("kind", "members", "code"),
    [
        ("ftp", {"authorization": LOGIN}, errors.FTP_SERVER_UNREACHABLE),
        ("samba", {"path": SHARE}, errors.SAMBA_UNREACHABLE),
    ],
)
def test_nothing_listens(kind: str, members: dict[str, Any], code: int, tmp_path: Path) -> None:
    place = {"source_type": kind, "host": "127.0.0.1", "port": free_port(), **members}
    assert failure(place, tmp_path).code == code


LOGGED_IN = (b"220 hi\r\n", b"331 password?\r\n", b"230 in\r\n", b"200 ok\r\n")


@pytest.mark.parametrize(
    ("kind", "code"), [("ftp", errors.FTP_SERVER_UNREACHABLE), ("samba", errors.SAMBA_UNREACHABLE)]
)
def test_silent_servers(kind: str, code: int, configure: Configure, tmp_path: Path) -> None:
    configure(Sources, silence_s=1)
    with silent_server() as port:
        members = {"path": SHARE} if kind == "samba" else {"authorization": LOGIN}
        place = {"source_type": kind, "host": "127.0.0.1", "port": port, **members}
        started = time.monotonic()
        assert failure(place, tmp_path).code == code
    assert time.monotonic() - started < PATIENCE_S


def test_ftp_that_hangs_within_a_listing(configure: Configure, tmp_path: Path) -> None:
    configure(Sources, silence_s=1)
    with silent_server(b"type=file; a.jpg\r\n") as data:
        passive = f"227 ok (127,0,0,1,{data // 256},{data % 256})\r\n".encode()
        with silent_server(*LOGGED_IN, passive, b"150 here it comes\r\n") as port:
            place = {"source_type": "ftp", "host": "127.0.0.1", "port": port, "authorization": LOGIN}
            assert failure(place, tmp_path).code == errors.FTP_LISTING_FAILED


@pytest.mark.parametrize(("place", "code"), [("ftp", errors.FTP_LISTING_FAILED), ("samba", errors.SAMBA_UNREACHABLE)])
def test_servers_that_hang_after_the_login(
    places: dict[str, Any], place: str, code: int, configure: Configure, tmp_path: Path
) -> None:
    configure(Sources, silence_s=1)
    stalled = threading.Event()
    with (
        stalling_proxy(places[place]["port"], stalled) as port,
        source({**places[place], "port": port}, tmp_path) as it,
        Reader(it, lambda: None) as reader,
    ):
        reader.open()
        stalled.set()
        started = time.monotonic()
        with pytest.raises(SourceError) as raised:
            list(reader.files(""))
    assert raised.value.code in (code, it.lost)
    assert time.monotonic() - started < PATIENCE_S


def test_s3_that_is_overloaded(places: dict[str, Any], tmp_path: Path) -> None:
    with refusing_server() as server:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        error = failure({**places["s3v4"], "endpoint": endpoint}, tmp_path)
        assert (error.code, server.refused) == (errors.DIRECTORY_READ_FAILED, ATTEMPTS)
        assert "503" in error.detail
        with source({**places["s3v4"], "endpoint": endpoint}, tmp_path) as opened:
            opened.open()
            with pytest.raises(LunaError) as caught:
                opened.read("a.jpg")
        assert (caught.value.code, server.refused) == (errors.FILE_READ_FAILED, 2 * ATTEMPTS)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("ftp", errors.FTP_LISTING_FAILED),
        ("ftp without MLSD", errors.FTP_LISTING_FAILED),
        ("samba", errors.SAMBA_UNKNOWN_ERROR),
    ],
)
@pytest.mark.parametrize("bound", ["MAX_CHILDREN", "MAX_CHARACTERS"])
def test_a_listing_is_bounded(
    places: dict[str, Any], place: str, code: int, bound: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(f"apps.tasks.sources.base.{bound}", 3)
    assert failure(places[place], tmp_path).code == code


@pytest.mark.parametrize("reply", [b"220-x\r\n" * 20_000, b"220 " + b"x" * 9000 + b"\r\n"])
def test_replies_of_ftp_are_bounded(reply: bytes, configure: Configure, tmp_path: Path) -> None:
    configure(Sources, silence_s=60)
    with silent_server(reply) as port:
        place = {"source_type": "ftp", "host": "127.0.0.1", "port": port, "authorization": LOGIN}
        started = time.monotonic()
        assert failure(place, tmp_path).code == errors.FTP_SERVER_UNREACHABLE
    assert time.monotonic() - started < PATIENCE_S


class CancelledError(BaseException):
    """The task was cancelled."""


@pytest.mark.parametrize("kind", ["ftp", "samba"])
def test_cancellation_does_not_wait_for_a_silent_server(kind: str, configure: Configure, tmp_path: Path) -> None:
    configure(Sources, silence_s=60)
    started, checks = time.monotonic(), itertools.count()

    def check() -> None:
        if next(checks) == 3:
            raise CancelledError

    with silent_server() as port:
        members = {"path": SHARE} if kind == "samba" else {"authorization": LOGIN}
        place = {"source_type": kind, "host": "127.0.0.1", "port": port, **members}
        with pytest.raises(CancelledError):
            read_all(place, tmp_path, check=check)
    assert time.monotonic() - started < PATIENCE_S


class TestDisk:
    @pytest.fixture
    def root(self, tmp_path: Path, configure: Configure) -> Path:
        root = tmp_path / "root"
        root.mkdir()
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "secret.jpg").write_bytes(b"secret")
        configure(Sources, disk_directories=(str(root),))
        return root

    def read(self, root: Path, **members: Any) -> dict[str, bytes | int]:
        return read_all({"source_type": "network_disk", "path": str(root), **members}, root)

    def test_links_are_left_out(self, root: Path) -> None:
        (root / "a.jpg").write_bytes(b"1")
        (root / "b.jpg").symlink_to(root / "a.jpg")
        (root / "c").symlink_to(root.parent / "outside")
        os.mkfifo(root / "pipe.jpg")
        assert self.read(root) == {"a.jpg": b"1"}

    def test_followed_links_stay_in_allowed_directories(self, root: Path) -> None:
        write_files(root, {"real/a.jpg": b"1", "real/deep/b.jpg": b"2"})
        (root / "b.jpg").symlink_to("real/a.jpg")
        (root / "c.jpg").symlink_to(root.parent / "outside" / "secret.jpg")
        (root / "d").symlink_to(root.parent / "outside")
        (root / "e").symlink_to("real/deep")
        (root / "real" / "deep" / "up").symlink_to("../..")  # a cycle
        (root / "broken.jpg").symlink_to("nothing")
        found = self.read(root, follow_links=1)
        assert found == {
            "b.jpg": b"1", "e/b.jpg": b"2", "real/a.jpg": b"1", "real/deep/b.jpg": b"2",
        } | {name: data for name, data in found.items() if name.startswith("e/up/")}  # fmt: skip
        assert b"secret" not in found.values()

    def test_a_directory_that_becomes_a_link(self, root: Path) -> None:
        write_files(root, {"a/secret.jpg": b"1", "b.jpg": b"2"})
        seen: list[int] = []

        def swap() -> None:
            if not seen:  # between the listing and the reading
                seen.append(1)
                shutil.rmtree(root / "a")
                (root / "a").symlink_to(root.parent / "outside")

        members = {"source_type": "network_disk", "path": str(root)}
        with source(members, root) as opened:
            opened.open()
            names = [each.name for each in opened.entries("")]
            swap()
            with pytest.raises(Exception, match="28027") as raised:
                opened.read(names[0])
            assert "secret" not in str(raised.value.__cause__)

    def test_missing_and_odd_paths(self, root: Path) -> None:
        (root / "file").write_bytes(b"")
        for path in (root / "nothing", root / "file"):
            assert (
                failure({"source_type": "network_disk", "path": str(path)}, root).code == errors.DIRECTORY_READ_FAILED
            )
        outside = f"{root}x"
        Path(outside).mkdir()
        (root / "link").symlink_to(outside)
        for given in (outside, f"{root}/link"):
            error = failure({"source_type": "network_disk", "path": given}, root)
            assert error.code == errors.NETWORK_DISK_UNAVAILABLE
            assert f" {given}:" in error.detail  # not the target of the link

    def test_names_that_are_not_utf_8(self, root: Path) -> None:
        Path(os.fsdecode(bytes(root) + b"/\xff.jpg")).write_bytes(b"1")
        ((name, data),) = self.read(root).items()
        assert (shown(name), data) == ("\\udcff.jpg", b"1")
        assert name_at(position(name)) == name

    def test_deep_directories(self, root: Path) -> None:
        deep = "/".join("d" * (MAX_DEPTH + 1))
        write_files(root, {f"{deep}/a.jpg": b"1", "z.jpg": b"2"})
        assert self.read(root) == {f"{deep}/": errors.DIRECTORY_READ_FAILED, "z.jpg": b"2"}

    @pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
    def test_unreadable_files_and_directories(self, root: Path) -> None:
        write_files(root, {"a/b.jpg": b"1", "c.jpg": b"2", "d.jpg": b"3"})
        (root / "a").chmod(0)
        (root / "c.jpg").chmod(0)
        assert self.read(root) == {"a/": errors.DIRECTORY_READ_FAILED, "c.jpg": errors.FILE_READ_FAILED, "d.jpg": b"3"}
        (root / "a").chmod(0o700)
