"""What is particular to S3: parts, seeking, failures of the server."""

import hashlib
import io
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from django.core.management import CommandError, call_command

from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.imagestore import s3
from apps.imagestore.buckets import objects_ttl_set
from apps.imagestore.choices import Bucket
from apps.imagestore.failures import failure_code
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_delete, object_open, object_store
from apps.imagestore.types import TTL_DAYS
from tests.factories import stored_bytes
from tests.ports import free_port
from tests.storages import client, options, stored_names, use_storage

BIG = os.urandom(1024) * 20 * 1024  # 20 MiB: three parts


@pytest.fixture
def prefix(s3_address: str, settings: object) -> str:
    name = uuid4().hex
    use_storage(settings, "apps.imagestore.s3.S3Store", **options(s3_address, name))
    return name


def store(account: UUID, data: bytes, bucket: Bucket = Bucket.OBJECTS) -> StoredObject:
    return object_store(bucket=bucket, account_id=account, data=io.BytesIO(data), content_type="a/b")


def test_large_objects_go_and_come_in_parts(account: UUID, prefix: str, s3_address: str) -> None:
    row = store(account, BIG)
    assert (row.size_bytes, row.sha256) == (len(BIG), hashlib.sha256(BIG).hexdigest())
    name = f"{prefix}/visionlabs-objects/{str(row.object_id)[:4]}/{row.object_id}"
    head = client(s3_address).head_object(Bucket="luna-test", Key=name)
    assert head["ETag"].strip('"').endswith("-3")
    assert stored_bytes(scope=Scope(account), bucket=Bucket.OBJECTS, object_id=row.object_id) == BIG
    with object_open(stored=row) as file:
        file.seek(15_000_000)
        assert file.read(10) == BIG[15_000_000:15_000_010]
        file.seek(-5, io.SEEK_END)
        assert file.read() == BIG[-5:]
        assert file.read() == b""
        file.seek(1)
        assert file.read(3) == BIG[1:4]


def test_a_broken_upload_leaves_nothing(account: UUID, prefix: str) -> None:
    class Broken(io.RawIOBase):
        left = 12 * 1024**2

        def read(self, size: int = -1) -> bytes:
            if self.left <= 0:
                raise LunaError(12046, "the body ends early")
            self.left -= size
            return bytes(size)

    with pytest.raises(LunaError) as caught:
        object_store(bucket=Bucket.OBJECTS, account_id=account, data=Broken(), content_type="a/b")
    assert caught.value.code == 12046
    assert stored_names() == []
    assert not StoredObject.objects.unscoped().exists()


def test_a_lost_object(account: UUID, prefix: str, s3_address: str) -> None:
    row = store(account, b"x")
    name = f"{prefix}/visionlabs-objects/{str(row.object_id)[:4]}/{row.object_id}"
    client(s3_address).delete_object(Bucket="luna-test", Key=name)
    with pytest.raises(LunaError) as caught:
        object_open(stored=row)
    assert caught.value.code == 19010


@contextmanager
def deaf_server(answer: bytes = b"", *, held: list[socket.socket] | None = None) -> Iterator[str]:
    """Takes connections, answers a request with the same bytes, and then, or without any, with nothing more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        held = [] if held is None else held

        def take() -> None:
            try:
                while True:
                    held.append(listener.accept()[0])
                    if answer:
                        held[-1].recv(65536)
                        held[-1].sendall(answer)
            except OSError:
                return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in held:
            each.close()


def test_a_server_that_is_away(
    account: UUID, settings: object, prefix: str, django_capture_on_commit_callbacks: Any
) -> None:
    row = store(account, b"x")
    use_storage(settings, "apps.imagestore.s3.S3Store", **options(f"http://127.0.0.1:{free_port()}", prefix))
    for attempt in (lambda: store(account, b"y"), lambda: object_open(stored=row)):
        with pytest.raises(LunaError) as caught:
            attempt()
        assert caught.value.code == 20008
    assert StoredObject.objects.unscoped().count() == 1
    with django_capture_on_commit_callbacks(execute=True):  # the row goes; the file is left to fsck
        object_delete(account_id=account, bucket=Bucket.OBJECTS, object_id=row.object_id)


def test_a_server_that_is_slow(account: UUID, settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "READ_TIMEOUT_S", 0.2)
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    with deaf_server() as address:
        use_storage(settings, "apps.imagestore.s3.S3Store", **options(address, "x"))
        with pytest.raises(LunaError) as caught:
            store(account, b"y")
        assert caught.value.code == 20007


def test_a_missing_bucket(account: UUID, settings: object, s3_address: str) -> None:
    wrong = options(s3_address, "x") | {"bucket_name": "no-such-bucket"}
    use_storage(settings, "apps.imagestore.s3.S3Store", **wrong)
    for bucket, code in ((Bucket.OBJECTS, 20013), (Bucket.FACE_SAMPLES, 20001)):
        with pytest.raises(LunaError) as caught:
            store(account, b"y", bucket)
        assert caught.value.code == code


def client_error(status: int) -> ClientError:
    return ClientError({"ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


@pytest.mark.parametrize(
    ("error", "action", "code"),
    [
        (client_error(403), "get", 20006),
        (client_error(401), "save", 20006),
        (client_error(503), "get", 20016),
        (client_error(500), "remove", 20014),
        (ConnectTimeoutError(endpoint_url="x"), "get", 20009),
        (OSError(), "remove", 19008),
    ],
)
def test_codes_of_failures(error: Exception, action: str, code: int) -> None:
    assert failure_code(error, Bucket.OBJECTS, action) == code


@pytest.fixture
def expiring(s3_address: str, settings: object) -> str:
    name = uuid4().hex
    use_storage(settings, "apps.imagestore.s3.S3Store", **options(s3_address, name), lifecycle=True)
    return name


def tags(address: str, prefix: str, row: StoredObject) -> list[set[tuple[str, str]]]:
    """The tags of the object's two files."""
    s3_client = client(address)
    keys = [f"{prefix}/{name}" for name in stored_names() if str(row.object_id) in name]
    answers = [s3_client.get_object_tagging(Bucket="luna-test", Key=key) for key in keys]
    return [{(tag["Key"], tag["Value"]) for tag in answer["TagSet"]} for answer in answers]


def test_objects_carry_their_own_time_to_live(account: UUID, expiring: str, s3_address: str) -> None:
    given: dict[str, Any] = {"bucket": Bucket.OBJECTS, "account_id": account, "content_type": "a/b"}
    rows = {days: object_store(data=b"x", ttl_days=days, **given) for days in (None, -1, 7)}
    large = object_store(data=io.BytesIO(BIG), ttl_days=365, **given)
    week = {("vl-expire", "7")}
    assert {days: tags(s3_address, expiring, row) for days, row in rows.items()} == {
        None: [set(), set()], -1: [set(), set()], 7: [week, week]
    }  # fmt: skip
    assert tags(s3_address, expiring, large) == [{("vl-expire", "365")}] * 2
    change: dict[str, Any] = {"account_id": account, "bucket": Bucket.OBJECTS}
    objects_ttl_set(object_ids=[rows[None].object_id, rows[-1].object_id], ttl_days=7, **change)
    objects_ttl_set(object_ids=[rows[7].object_id], ttl_days=-1, **change)
    assert [tags(s3_address, expiring, row) for row in rows.values()] == [[week, week], [week, week], [set(), set()]]


def test_without_the_setting_nothing_is_tagged(account: UUID, prefix: str, s3_address: str) -> None:
    given: dict[str, Any] = {"bucket": Bucket.OBJECTS, "account_id": account, "content_type": "a/b"}
    row = object_store(data=b"x", ttl_days=7, **given)
    objects_ttl_set(account_id=account, bucket=Bucket.OBJECTS, object_ids=[row.object_id], ttl_days=1)
    assert tags(s3_address, prefix, row) == [set(), set()]
    with pytest.raises(CommandError):
        call_command("s3_lifecycle")


def test_a_store_that_is_there_gets_rules_and_tags(
    account: UUID, prefix: str, s3_address: str, settings: object, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"bucket": Bucket.OBJECTS, "account_id": account, "content_type": "a/b"}
    rows = [object_store(data=b"x", ttl_days=days, **given) for days in (None, 1, 1)]
    lost = stored_names()
    object_store(data=b"x", ttl_days=1, **given)
    for name in set(stored_names()) - set(lost):
        client(s3_address).delete_object(Bucket="luna-test", Key=f"{prefix}/{name}")
    other = {"ID": "theirs", "Expiration": {"Days": 9}, "Filter": {"Prefix": "logs/"}, "Status": "Enabled"}
    configuration = {"Bucket": "luna-test", "LifecycleConfiguration": {"Rules": [other]}}
    client(s3_address).put_bucket_lifecycle_configuration(**configuration)
    use_storage(settings, "apps.imagestore.s3.S3Store", **options(s3_address, prefix), lifecycle=True)
    for _ in range(2):  # also when it is run again
        call_command("s3_lifecycle")
        assert capsys.readouterr().out == "2 objects tagged, 1 without file\n"
        rules = client(s3_address).get_bucket_lifecycle_configuration(Bucket="luna-test")["Rules"]
        assert {rule["ID"]: rule["Expiration"]["Days"] for rule in rules} == {
            "theirs": 9, **{f"vl-expire-{days}": days for days in TTL_DAYS}
        }  # fmt: skip
    assert rules[-1]["Filter"] == {"Tag": {"Key": "vl-expire", "Value": "365"}}
    assert [tags(s3_address, prefix, row)[0] for row in rows] == [set(), {("vl-expire", "1")}, {("vl-expire", "1")}]
