"""Images and objects in buckets of clients: the resources of /6/images and /6/objects in other folders."""

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account, AuditRecord
from apps.common.errors import LunaError
from apps.common.holdings import holdings
from apps.common.times import utc_now
from apps.imagestore import files, services
from apps.imagestore.buckets import bucket_create, bucket_delete, bucket_ttl_set, expired_delete
from apps.imagestore.choices import Bucket
from apps.imagestore.consistency import MIN_AGE
from apps.imagestore.id_locks import remove_on_commit
from apps.imagestore.models import StoredBucket, StoredObject
from tests.api.helpers import refused
from tests.api.imagestore.helpers import picture, post, stored
from tests.factories import basic_client, client_of, make_account, token_client
from tests.storages import stored_names

DATA = bytes(range(256)) * 4
JPEG = picture((40, 30))
KINDS = [("images", "image", JPEG, 13003, 13004), ("objects", "object", DATA, 13007, 13009)]
JSON: dict[str, Any] = {"content_type": "application/json"}


@pytest.fixture
def bucket(db: None) -> str:
    return bucket_create(name="invoices.2026", ttl_days=30).name


@pytest.mark.parametrize(("folder", "kind", "data", "gone", "too_many"), KINDS)
def test_it_comes_and_goes(
    client: Client, bucket: str, folder: str, kind: str, data: bytes, gone: int, too_many: int
) -> None:
    path = f"/1/buckets/{bucket}/{folder}"
    answer = post(client, path, data)
    assert answer.status_code == 201, answer.content
    url = answer.json()["url"]
    assert url == f"{path}/{answer.json()[f'{kind}_id']}" == answer.headers["Location"]
    got = client.get(url)
    assert (got.getvalue(), got.headers["Content-Type"]) == (data, "image/jpeg")
    assert client.get(url, headers={"If-None-Match": got.headers["ETag"]}).status_code == 304
    part = client.get(url, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.getvalue()) == (206, data[5:10])
    refused(client.get(url, headers={"Range": "bytes=99999-"}), 416, 12046)
    head = client.head(url)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(data)))
    assert "X-Luna-Expiry-Date" in head.headers
    assert [line.object_type for line in AuditRecord.objects.filter(action="view")] == [kind] * 4
    assert client.delete(url).status_code == 204
    for answer in (client.get(url), client.delete(url)):
        refused(answer, 404, gone)


@pytest.mark.parametrize(("folder", "kind", "data", "gone", "too_many"), KINDS)
def test_one_folder_knows_nothing_of_the_others(
    client: Client, bucket: str, folder: str, kind: str, data: bytes, gone: int, too_many: int
) -> None:
    bucket_create(name="other-bucket")
    key = stored(client, f"/1/buckets/{bucket}/{folder}", data)
    other_folder, other_code = ("objects", 13007) if folder == "images" else ("images", 13003)
    refused(client.get(f"/1/buckets/{bucket}/{other_folder}/{key}"), 404, other_code)
    refused(client.get(f"/1/buckets/other-bucket/{folder}/{key}"), 404, gone)
    refused(client.get(f"/6/{folder}/{key}"), 404, gone)
    name = f"{bucket}/{folder}/{str(key)[:4]}/{key}"
    assert stored_names() == [name, f"{name}.meta.json"]


@pytest.mark.parametrize(("folder", "kind", "data", "gone", "too_many"), KINDS)
def test_an_id_of_ones_own(
    client: Client, stranger: Client, bucket: str, folder: str, kind: str, data: bytes, gone: int, too_many: int
) -> None:
    key = uuid4()
    path = f"/1/buckets/{bucket}/{folder}/{key}"
    answer = client.put(f"{path}?ttl=1", data, content_type="image/jpeg")
    assert (answer.status_code, answer.json()["url"]) == (201, path)
    for who in (client, stranger):
        detail = refused(who.put(path, data, content_type="image/jpeg"), 409, 13008)
        assert str(key) in detail
    assert client.get(path).getvalue() == data
    refused(client.put(f"/1/buckets/{bucket}/{folder}/x", data, content_type="image/jpeg"), 404, gone)
    refused(client.put(f"{path}?ttl=8", data, content_type="image/jpeg"), 400, 12012)


@pytest.mark.parametrize(("folder", "kind", "data", "gone", "too_many"), KINDS)
def test_several_are_deleted_and_kept_longer(
    client: Client, stranger: Client, bucket: str, folder: str, kind: str, data: bytes, gone: int, too_many: int
) -> None:
    path, ids = f"/1/buckets/{bucket}/{folder}", f"{kind}_ids"
    keys = [str(stored(client, path, data)) for _ in range(2)]
    foreign = str(stored(stranger, path, data))
    for many in ([*keys, foreign], [*keys, str(uuid4())]):
        refused(client.delete(path, {ids: many}, **JSON), 400, 11020)
        refused(client.put(path, {ids: many, "ttl": 1}, **JSON), 400, 11020)
    for method, more in ((client.delete, {}), (client.put, {"ttl": 1})):
        refused(method(path, {ids: keys * 501, **more}, **JSON), 400, too_many)
        refused(method(path, {ids: [], **more}, **JSON), 400, 12027)
    assert client.put(path, {ids: keys, "ttl": -1}, **JSON).status_code == 204
    assert "X-Luna-Expiry-Date" not in client.head(f"{path}/{keys[0]}").headers
    assert client.delete(path, {ids: keys}, **JSON).status_code == 204
    assert [str(row.object_id) for row in StoredObject.objects.unscoped()] == [foreign]


def test_metadata_and_forms(client: Client, bucket: str) -> None:
    headers = {"X-Luna-Meta-Camera": "gate 3"}
    for send, path in ((client.post, ""), (client.put, f"/{uuid4()}")):
        answer = send(f"/1/buckets/{bucket}/images{path}", JPEG, content_type="image/jpeg", headers=headers)
        got = client.get(f"{answer.json()['url']}?with_meta=1")
        assert got.headers["X-Luna-Meta-camera"] == "gate 3"
    refused(post(client, f"/1/buckets/{bucket}/images", b"text", "text/plain"), 400, 12017)
    refused(post(client, f"/1/buckets/{bucket}/objects", b"", "a/b"), 400, 12030)


def test_a_request_that_is_sent_again_stores_nothing_more(client: Client, bucket: str) -> None:
    sent = [
        client.post(f"/1/buckets/{bucket}/objects", DATA, content_type="a/b", headers={"Idempotency-Key": "one"})
        for _ in range(2)
    ]
    assert sent[0].json() == sent[1].json()
    assert sent[1].headers["Idempotency-Replayed"] == "true"
    assert StoredObject.objects.unscoped().count() == 1


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("no-such-bucket", 404, 13005),
        ("UPPER", 404, 13005),
        ("a..b", 404, 13005),
        ("%2e%2e", 404, 13005),
        (Bucket.FACE_SAMPLES, 403, 12033),
        (Bucket.TASK_RESULT, 403, 12033),
        (Bucket.IMAGES, 403, 12033),
    ],
)
def test_buckets_that_take_no_objects(client: Client, name: str, status: int, code: int) -> None:
    refused(post(client, f"/1/buckets/{name}/objects", DATA, "a/b"), status, code)
    refused(client.get(f"/1/buckets/{name}/objects/{uuid4()}"), status, code)


@pytest.mark.parametrize(
    ("bucket", "folder", "data"), [(Bucket.IMAGES, "images", JPEG), (Bucket.OBJECTS, "objects", DATA)]
)
def test_the_platforms_own_have_two_names(client: Client, bucket: str, folder: str, data: bytes) -> None:
    key = stored(client, f"/1/buckets/{bucket}/{folder}", data)
    assert client.get(f"/6/{folder}/{key}").getvalue() == data
    assert client.get(f"/1/buckets/{bucket}/{folder}/{key}").getvalue() == data


@pytest.mark.parametrize(("folder", "kind", "data", "gone", "too_many"), KINDS)
def test_everybody_sees_his_own(
    client: Client,
    account: Account,
    stranger: Client,
    bucket: str,
    folder: str,
    kind: str,
    data: bytes,
    gone: int,
    too_many: int,
) -> None:
    path = f"/1/buckets/{bucket}/{folder}"
    url = f"{path}/{stored(client, path, data)}"
    for answer in (stranger.get(url), stranger.delete(url)):
        refused(answer, 404, gone)
    assert basic_client(make_account(AccountType.ADVANCED_USER)).get(url).getvalue() == data
    other = "object" if kind == "image" else "image"
    for method, where in (("get", url), ("post", path), ("put", url), ("put", path), ("delete", url), ("delete", path)):
        refused(getattr(token_client(account, **{other: ["creation", "view", "deletion"]}), method)(where), 403, 11059)
        refused(getattr(Client(), method)(where), 403, 12010)
        refused(getattr(Client(), method)(where.replace(bucket, "no-such-bucket")), 403, 12010)


def test_a_bucket_in_use_stays_and_leads_its_objects(client: Client, bucket: str) -> None:
    admin = basic_client(make_account(AccountType.ADMIN))
    keys = [stored(client, f"/1/buckets/{bucket}/{folder}", JPEG) for folder in ("images", "objects")]
    assert client.post(f"/1/buckets/{bucket}/objects?ttl=1", b"x", content_type="a/b").status_code == 201
    refused(admin.delete(f"/1/buckets/{bucket}"), 403, 12033)
    bucket_ttl_set(name=bucket, ttl_days=7)
    rows = StoredObject.objects.unscoped()
    assert sorted(row.expiry_time - row.create_time for row in rows) == pytest.approx(
        [timedelta(days=1), timedelta(days=7), timedelta(days=7)], abs=timedelta(seconds=1)
    )
    rows.update(expiry_time=utc_now())
    refused(client.get(f"/1/buckets/{bucket}/images/{keys[0]}"), 404, 13003)
    assert expired_delete() == 3
    assert stored_names() == []
    assert admin.delete(f"/1/buckets/{bucket}").status_code == 204


def test_fsck_looks_into_them(client: Client, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.imagestore.consistency.MIN_AGE", -MIN_AGE)
    kept = stored(client, f"/1/buckets/{bucket}/objects", DATA)
    orphan = stored(client, f"/1/buckets/{bucket}/images", JPEG)
    StoredObject.objects.unscoped().filter(object_id=orphan).delete()
    found = list(holdings.faults(True))
    assert {fault.kind for fault in found} == {"file without row"}
    assert all(str(orphan) in fault.subject for fault in found)
    for fault in found:
        assert fault.mend is not None
        fault.mend()
    assert len(stored_names()) == 2
    assert all(str(kept) in name for name in stored_names())


def test_the_admin_site_shows_and_deletes_them(
    client: Client, bucket: str, django_capture_on_commit_callbacks: Any
) -> None:
    StoredBucket.objects.create(name="b" * 63)
    key = stored(client, f"/1/buckets/{'b' * 63}/images", JPEG)
    row = StoredObject.objects.unscoped().get(object_id=key)
    staff = Client()
    staff.force_login(make_account(AccountType.ADMIN))
    page = staff.get("/admin/imagestore/storedobject/").content.decode()
    address = f"/admin/imagestore/storedobject/{'b' * 63}/images/{key}/thumbnail/"
    assert address in page
    assert staff.get(address).headers["Content-Type"] == "image/jpeg"
    with django_capture_on_commit_callbacks(execute=True):
        staff.post(
            "/admin/imagestore/storedobject/",
            {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
        )
    assert stored_names() == []
    assert set(AuditRecord.objects.filter(object_type="image").values_list("action", flat=True)) == {"view", "delete"}


@pytest.fixture
def crowd(transactional_db: None) -> tuple[Account, str]:
    return make_account(), bucket_create(name="crowded").name


def at_once(work: Any, count: int) -> None:
    def run(place: int) -> None:
        try:
            work(place)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_two_writers_of_one_id_one_wins(crowd: tuple[Account, str]) -> None:
    account, bucket = crowd
    path = f"/1/buckets/{bucket}/objects/{uuid4()}"
    answers: dict[int, int] = {}

    def write(place: int) -> None:
        answers[place] = client_of(account).put(path, bytes([place]) * 9, content_type="a/b").status_code

    at_once(write, 6)
    assert sorted(answers.values()) == [201, *[409] * 5]
    winner = next(place for place, status in answers.items() if status == 201)
    assert client_of(account).get(path).getvalue() == bytes([winner]) * 9


def test_an_id_that_is_stored_anew_keeps_its_files(crowd: tuple[Account, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is gone, its files are about to be removed, and the same id comes again."""
    account, bucket = crowd
    path = f"/1/buckets/{bucket}/objects/{uuid4()}"
    client = client_of(account)
    assert client.put(path, b"old", content_type="a/b").status_code == 201
    removing = remove_on_commit

    def store_first(keys: Any) -> None:
        transaction.on_commit(lambda: answers.append(client.put(path, b"new", content_type="a/b").status_code))
        removing(keys)

    answers: list[int] = []
    monkeypatch.setattr(services, "remove_on_commit", store_first)
    assert client.delete(path).status_code == 204
    assert answers == [201]
    assert client.get(path).getvalue() == b"new"


def test_a_bucket_that_goes_meanwhile(crowd: tuple[Account, str], monkeypatch: pytest.MonkeyPatch) -> None:
    account, bucket = crowd
    write_all = files.write_all

    def delete_after(items: Any) -> Any:
        written = write_all(items)
        bucket_delete(name=bucket)
        return written

    monkeypatch.setattr(files, "write_all", delete_after)
    with pytest.raises(LunaError) as caught:
        services.object_store(
            bucket=f"{bucket}/objects", account_id=account.pk, data=b"x", content_type="a/b"
        )  # fmt: skip
    assert caught.value.code == 13005
    assert stored_names() == []
