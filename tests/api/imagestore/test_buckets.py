"""/1/buckets, time to live that is changed later, and the clean-up."""

import errno
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.locks import advisory_lock
from apps.common.times import utc_now
from apps.imagestore import files
from apps.imagestore.buckets import CLEAN_UP, expired_delete
from apps.imagestore.jobs import clean_up
from apps.imagestore.models import StoredBucket, StoredObject
from luna.celery import app
from tests.api.helpers import refused
from tests.api.imagestore.helpers import picture, stored
from tests.factories import basic_client, header_client, make_account, token_client
from tests.storages import stored_names

DAY = timedelta(days=1)


@pytest.fixture
def admin(db: None) -> Client:
    return basic_client(make_account(AccountType.ADMIN))


def expiry(key: object) -> timedelta | None:
    row = StoredObject.objects.unscoped().get(object_id=key)
    return None if row.expiry_time is None else row.expiry_time - row.create_time


def close_to(value: timedelta | None, days: int) -> bool:
    return value is not None and abs(value - days * DAY) < timedelta(seconds=1)


def test_the_platform_has_its_buckets(admin: Client) -> None:
    shapes = admin.get("/1/buckets").json()["buckets"]
    assert [shape["bucket"] for shape in shapes] == [
        "portraits",
        "task-result",
        "visionlabs-bodies-samples",
        "visionlabs-image-origin",
        "visionlabs-objects",
        "visionlabs-samples",
    ]
    assert {shape["ttl"] for shape in shapes} == {-1}
    assert admin.get("/1/buckets/portraits").json() == shapes[0]


@pytest.mark.parametrize(
    ("query", "days"), [("bucket=mine&ttl=7", 7), ("bucket=theirs&ttd=2", 2), ("bucket=for-ever", -1)]
)
def test_a_bucket_comes_and_goes(admin: Client, query: str, days: int) -> None:
    answer = admin.post(f"/1/buckets?{query}")
    assert answer.status_code == 201
    path = answer.json()["url"]
    assert answer.headers["Location"] == path
    assert admin.get(path).json()["ttl"] == days
    refused(admin.post(f"/1/buckets?{query}"), 409, 13006)
    assert admin.delete(path).status_code == 204
    refused(admin.get(path), 404, 13005)
    refused(admin.delete(path), 404, 13005)
    refused(admin.put(f"{path}?ttl=1"), 404, 13005)


@pytest.mark.parametrize("name", ["Upper", "ab", "a..b", "../x", "a/b", "-ab", "ab-", "x" * 64, "\u00e9tat"])
def test_odd_names(admin: Client, name: str) -> None:
    refused(admin.post("/1/buckets", query_params={"bucket": name}), 400, 20019)


def test_bad_queries(admin: Client) -> None:
    for query in ("", "?bucket=", "?bucket=%00", "?bucket=abc&ttl=8", "?bucket=abc&ttd=0"):
        refused(admin.post(f"/1/buckets{query}"), 400, 12012)
    for query in ("", "?ttl=", "?ttl=8", "?ttl=x"):
        refused(admin.put(f"/1/buckets/portraits{query}"), 400, 12012)
    assert not StoredBucket.objects.exists()


def test_what_is_in_use_stays(admin: Client, client: Client) -> None:
    refused(admin.delete("/1/buckets/portraits"), 403, 12033)
    assert not StoredBucket.objects.exists()


@pytest.mark.usefixtures("account_header")
def test_buckets_are_for_administrators(account: Account) -> None:
    advanced = basic_client(make_account(AccountType.ADVANCED_USER))
    for method, path in (
        ("get", "/1/buckets"),
        ("post", "/1/buckets?bucket=abc"),
        ("get", "/1/buckets/portraits"),
        ("put", "/1/buckets/portraits?ttl=1"),
        ("delete", "/1/buckets/portraits"),
    ):
        refused(getattr(advanced, method)(path), 403, 12033)
        refused(getattr(header_client(account), method)(path), 403, 12010)
        refused(getattr(token_client(account, object=["creation"]), method)(path), 403, 11064)
        refused(getattr(Client(), method)(path), 403, 12010)


def test_a_bucket_leads_the_objects_that_have_no_time_of_their_own(admin: Client, client: Client) -> None:
    before = stored(client, "/6/objects", b"1", "a/b")
    own, for_ever = stored(client, "/6/objects?ttl=1", b"2", "a/b"), stored(client, "/6/objects?ttl=-1", b"3", "a/b")
    elsewhere = stored(client, "/6/images", picture((5, 5)))
    assert admin.put("/1/buckets/visionlabs-objects?ttl=30").status_code == 204
    after = stored(client, "/6/objects", b"4", "a/b")
    assert close_to(expiry(before), 30)
    assert close_to(expiry(after), 30)
    assert close_to(expiry(own), 1)
    assert expiry(for_ever) is expiry(elsewhere) is None
    assert admin.put("/1/buckets/visionlabs-objects?ttl=-1").status_code == 204
    assert expiry(before) is expiry(after) is None
    assert close_to(expiry(own), 1)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("samples/faces", "sample_ids"),
        ("samples/bodies", "sample_ids"),
        ("images", "image_ids"),
        ("objects", "object_ids"),
    ],
)
def test_objects_get_another_time(client: Client, stranger: Client, account: Account, path: str, name: str) -> None:
    data = picture((128, 250) if path == "samples/bodies" else (250, 250))
    keys = [str(stored(client, f"/6/{path}", data)) for _ in range(2)]

    def change(who: Client, ids: object, ttl: object) -> Any:
        return who.put(f"/6/{path}", {name: ids, "ttl": ttl}, content_type="application/json")

    assert change(client, keys, 14).status_code == 204
    assert all(close_to(expiry(key), 14) for key in keys)
    assert change(client, keys[:1], -1).status_code == 204
    assert expiry(keys[0]) is None
    for ids in ([*keys, str(uuid4())], [str(uuid4())]):
        refused(change(client, ids, 1), 400, 11020)
    refused(change(stranger, keys, 1), 400, 11020)
    for ids, ttl in ((keys, 8), (keys, "x"), ([], 1), (["x"], 1)):
        refused(change(client, ids, ttl), 400, 12027)
    refused(change(client, keys * 501, 1), 400, 13009 if path == "objects" else 13004)
    assert close_to(expiry(keys[1]), 14)
    refused(change(token_client(account, object=["view"]), keys, 1), 403, 11059)


def expire(key: object) -> None:
    StoredObject.objects.unscoped().filter(object_id=key).update(expiry_time=utc_now())


def test_the_clean_up_takes_what_has_expired(client: Client) -> None:
    stays, goes = (stored(client, "/6/objects?ttl=1", b"x", "a/b") for _ in range(2))
    expire(goes)
    clean_up()
    assert [row.object_id for row in StoredObject.objects.unscoped()] == [stays]
    stem = f"visionlabs-objects/{str(stays)[:4]}/{stays}"
    assert stored_names() == [stem, f"{stem}.meta.json"]


def test_a_file_that_cannot_be_removed_is_tried_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, goes = (stored(client, "/6/objects?ttl=1", b"x", "a/b") for _ in range(2))
    expire(stuck)
    expire(goes)
    remove = files.remove

    def refuse(bucket: str, object_id: UUID, content_type: str) -> None:
        if object_id == stuck:
            raise OSError(errno.EROFS, "Read-only file system")
        remove(bucket, object_id, content_type)

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove", refuse)
        assert expired_delete() == 1
    assert [row.object_id for row in StoredObject.objects.unscoped()] == [stuck]
    refused(client.get(f"/6/objects/{stuck}"), 404, 13007)
    assert expired_delete() == 1


@pytest.mark.django_db(transaction=True)
def test_one_process_cleans_up_at_a_time() -> None:
    outcome: list[int | None] = []

    def other() -> None:
        try:
            outcome.append(expired_delete())
        finally:
            connection.close()

    def run_other() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with advisory_lock(CLEAN_UP) as ours:
        assert ours
        run_other()
    run_other()
    assert outcome == [None, 0]


def test_the_clean_up_is_scheduled() -> None:
    entry = app.conf.beat_schedule["image store clean-up"]
    assert entry["task"] == clean_up.name
    assert (entry["schedule"].hour, entry["schedule"].minute) == ({1}, {0})
