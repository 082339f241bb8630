import errno
import hashlib
import io
import json
import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredBucket, StoredObject
from apps.imagestore.selectors import object_get
from apps.imagestore.services import object_delete, object_store, objects_delete, samples_store
from apps.imagestore.storage import SYNC_BYTES
from apps.imagestore.types import NewObject
from tests.factories import stored_bytes

IMAGE = b"\xff\xd8 bytes of a picture"


def sample(account: UUID, **fields: Any) -> NewObject:
    given: dict[str, Any] = {"bucket": Bucket.FACE_SAMPLES, "data": IMAGE, "content_type": "image/jpeg"} | fields
    return NewObject(account_id=account, **given)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def rows() -> int:
    return StoredObject.objects.unscoped().count()


def test_lies_where_the_manual_says(account: UUID, store_dir: Path) -> None:
    landmarks = {"landmarks5": [[1.0, 2.0]] * 5}
    (face,) = samples_store(items=[sample(account, meta=landmarks)])
    thing = object_store(bucket=Bucket.OBJECTS, account_id=account, data=b"PK", content_type="application/zip")
    names = []
    for bucket, row, extension in (("visionlabs-samples", face, ".jpg"), ("visionlabs-objects", thing, "")):
        stem = f"{bucket}/{str(row.object_id)[:4]}/{row.object_id}"
        names += [stem + extension, stem + ".meta.json"]
    assert files_below(store_dir) == sorted(names)
    assert (store_dir / names[0]).read_bytes() == IMAGE
    assert json.loads((store_dir / names[1]).read_bytes()) == {"account_id": str(account), "meta": landmarks}
    assert json.loads((store_dir / names[3]).read_bytes()) == {
        "account_id": str(account),
        "Content-Type": "application/zip",
    }
    stored = object_get(scope=Scope(account), bucket=Bucket.FACE_SAMPLES, object_id=face.object_id)
    assert (stored.size_bytes, stored.sha256) == (len(IMAGE), hashlib.sha256(IMAGE).hexdigest())
    assert stored.meta == landmarks


def test_files_are_for_the_platform_alone(account: UUID, store_dir: Path) -> None:
    samples_store(items=[sample(account)])
    for path in store_dir.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_reads_and_deletes_for_its_account_only(
    account: UUID, stranger: UUID, store_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    key = samples_store(items=[sample(account)])[0].object_id
    where: dict[str, Any] = {"bucket": Bucket.FACE_SAMPLES, "object_id": key}
    assert stored_bytes(scope=Scope(account), **where) == stored_bytes(scope=Scope(None), **where) == IMAGE
    for attempt in (
        lambda: stored_bytes(scope=Scope(stranger), **where),
        lambda: object_delete(account_id=stranger, **where),
        lambda: stored_bytes(scope=Scope(account), bucket=Bucket.BODY_SAMPLES, object_id=key),
    ):
        with pytest.raises(LunaError) as caught:
            attempt()
        assert caught.value.code == 13003
    with django_capture_on_commit_callbacks(execute=True):
        object_delete(account_id=account, **where)
        assert len(files_below(store_dir)) == 2  # until the commit
    assert files_below(store_dir) == []
    assert rows() == 0


def test_bulk_delete_is_all_or_nothing(
    account: UUID, stranger: UUID, store_dir: Path, django_capture_on_commit_callbacks: Any
) -> None:
    mine = [row.object_id for row in samples_store(items=[sample(account) for _ in range(3)])]
    foreign = samples_store(items=[sample(stranger)])[0].object_id
    with pytest.raises(LunaError) as caught:
        objects_delete(account_id=account, bucket=Bucket.FACE_SAMPLES, object_ids=[*mine, foreign])
    assert caught.value.code == 11020
    assert rows() == 4
    with django_capture_on_commit_callbacks(execute=True):
        objects_delete(account_id=account, bucket=Bucket.FACE_SAMPLES, object_ids=mine)
    assert len(files_below(store_dir)) == 2


def test_several_cost_as_many_queries_as_one(account: UUID, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for count in (1, 20):
        with django_assert_num_queries(1):
            samples_store(items=[sample(account) for _ in range(count)])


def test_a_taken_id_is_refused_and_its_bytes_stay(account: UUID, stranger: UUID) -> None:
    key = uuid4()
    given: dict[str, Any] = {"bucket": Bucket.IMAGES, "content_type": "image/png", "object_id": key}
    object_store(account_id=account, data=b"first", **given)
    with pytest.raises(LunaError) as caught:
        object_store(account_id=stranger, data=b"second", **given)
    assert caught.value.code == 13008
    assert stored_bytes(scope=Scope(account), bucket=Bucket.IMAGES, object_id=key) == b"first"


@pytest.mark.parametrize(
    ("bucket_days", "days", "expected"),
    [(None, None, None), (7, None, 7), (7, 1, 1), (7, -1, None), (None, 365, 365), (None, -1, None)],
)
def test_time_to_live(account: UUID, bucket_days: int | None, days: int | None, expected: int | None) -> None:
    StoredBucket.objects.create(name=Bucket.FACE_SAMPLES, ttl_days=bucket_days)
    row = samples_store(items=[sample(account, ttl_days=days)])[0]
    if expected is None:
        assert row.expiry_time is None
    else:
        assert row.expiry_time is not None
        assert abs(row.expiry_time - row.create_time - timedelta(days=expected)) < timedelta(seconds=1)


@pytest.mark.parametrize("days", [0, 8, -2, 366])
def test_times_to_live_come_from_the_list(account: UUID, store_dir: Path, days: int) -> None:
    with pytest.raises(LunaError) as caught:
        samples_store(items=[sample(account, ttl_days=days)])
    assert caught.value.code == 12012
    assert files_below(store_dir) == []


def test_what_has_expired_is_gone(account: UUID) -> None:
    row = samples_store(items=[sample(account, ttl_days=1)])[0]
    StoredObject.objects.unscoped().update(expiry_time=row.create_time)
    with pytest.raises(LunaError) as caught:
        stored_bytes(scope=Scope(account), bucket=Bucket.FACE_SAMPLES, object_id=row.object_id)
    assert caught.value.code == 13003


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_failed_write_leaves_nothing(
    account: UUID, store_dir: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    samples_store(items=[sample(account)])
    before = files_below(store_dir)
    with monkeypatch.context() as patch:
        patch.setattr(os, fails, full)
        for bucket, code in ((Bucket.FACE_SAMPLES, 19001), (Bucket.OBJECTS, 19007)):
            with pytest.raises(LunaError) as caught:
                samples_store(items=[sample(account, bucket=bucket)])
            assert caught.value.code == code
    assert files_below(store_dir) == before
    assert rows() == 1


def test_large_objects_are_synced_and_hashed_meanwhile(
    account: UUID, store_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(3 * SYNC_BYTES + 7)
    synced: list[int] = []
    works = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: synced.append(os.fstat(file).st_size) or works(file))
    thing = object_store(bucket=Bucket.OBJECTS, account_id=account, data=io.BytesIO(data), content_type="video/mp4")
    assert synced
    assert synced[0] >= SYNC_BYTES
    assert stored_bytes(scope=Scope(account), bucket=Bucket.OBJECTS, object_id=thing.object_id) == data
    assert (thing.size_bytes, thing.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_an_error_that_the_disk_tells_early_is_not_lost(
    account: UUID, store_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells it once: the last sync would succeed."""

    def broken(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    opened = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(LunaError) as caught:
        samples_store(items=[sample(account, bucket=Bucket.OBJECTS, data=io.BytesIO(bytes(2 * SYNC_BYTES)))])
    assert caught.value.code == 19007
    assert files_below(store_dir) == []
    assert rows() == 0
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_failure_in_the_middle_leaves_none(account: UUID, store_dir: Path) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(LunaError):
        samples_store(items=[sample(account), sample(account, data=Broken())])
    assert files_below(store_dir) == []
    assert rows() == 0


def test_a_failure_before_the_row_leaves_no_row_and_no_file(
    account: UUID, store_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the connection is lost")

    monkeypatch.setattr("apps.imagestore.services.utc_now", lost)
    with pytest.raises(RuntimeError):
        samples_store(items=[sample(account)])
    assert files_below(store_dir) == []
    assert rows() == 0


def test_a_kill_in_the_write_leaves_no_file_of_that_name(account: UUID, store_dir: Path) -> None:
    """The bytes have another name until all of them are on the disk."""
    seen: list[list[str]] = []

    class Watching(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.append(files_below(store_dir))
            return super().read(size)

    row = samples_store(items=[sample(account, data=Watching(IMAGE))])[0]
    name = f"visionlabs-samples/{str(row.object_id)[:4]}/{row.object_id}.jpg"
    assert seen
    assert all(name not in names for names in seen)
    assert name in files_below(store_dir)


@pytest.mark.parametrize(("bucket", "code"), [(Bucket.FACE_SAMPLES, 19006), (Bucket.OBJECTS, 19010)])
def test_a_lost_file_is_an_error_of_the_storage(account: UUID, store_dir: Path, bucket: Bucket, code: int) -> None:
    row = samples_store(items=[sample(account, bucket=bucket)])[0]
    for name in files_below(store_dir):
        (store_dir / name).unlink()
    with pytest.raises(LunaError) as caught:
        stored_bytes(scope=Scope(account), bucket=bucket, object_id=row.object_id)
    assert caught.value.code == code


def test_a_large_stream_is_never_whole_in_memory(account: UUID, store_dir: Path) -> None:
    largest = 0

    class Zeros(io.RawIOBase):
        left = 64 * 1024**2

        def read(self, size: int = -1) -> bytes:
            nonlocal largest
            size = self.left if size < 0 else min(size, self.left)
            self.left -= size
            largest = max(largest, size)
            return bytes(size)

    row = object_store(bucket=Bucket.OBJECTS, account_id=account, data=Zeros(), content_type="application/octet-stream")
    assert row.size_bytes == 64 * 1024**2
    assert largest <= 1024**2


def test_a_file_that_cannot_be_removed_keeps_nothing_else(
    account: UUID,
    store_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: Any,
) -> None:
    keys = [row.object_id for row in samples_store(items=[sample(account) for _ in range(3)])]
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == f"{keys[1]}.jpg":
            raise OSError(errno.EROFS, "Read-only file system")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        objects_delete(account_id=account, bucket=Bucket.FACE_SAMPLES, object_ids=keys)
    assert [Path(name).name for name in files_below(store_dir)] == [f"{keys[1]}.jpg"]
    assert "Read-only file system" in caplog.text
    assert rows() == 0
