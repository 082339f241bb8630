"""An account that owns much goes in small steps, and on after a crash."""

import tracemalloc
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts import erasure, selectors, services
from apps.accounts.erasure import BATCH_ROWS, account_erase, accounts_to_erase, rows_count
from apps.accounts.jobs import erase
from apps.accounts.models import Account, AuditRecord
from apps.common.errors import LunaError
from apps.common.holdings import Erasure, Holding, holdings
from apps.faces.models import Face, FaceAttribute, FaceDescriptor, List, ListFace, ListUnlink
from apps.imagestore import files
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from apps.imagestore.services import samples_store
from apps.imagestore.types import NewObject
from tests.api.imagestore.helpers import picture
from tests.factories import PASSWORD, basic_client, header_client, make_account, make_event, unit_vectors
from tests.storages import stored_names

FACES = 6_000
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("store_dir")]


def crowd(account: Account, faces: int, samples: int = 0) -> List:
    """Faces with attributes and descriptors, all in one list that has seen as many others go."""
    made = Face.objects.bulk_create(Face(account=account) for _ in range(faces))
    row = List.objects.create(account=account, link_key=faces * 2, unlink_key=faces)
    FaceAttribute.objects.bulk_create(FaceAttribute(face=face, age=33) for face in made)
    vector = unit_vectors(1, 16, 1)[0]
    FaceDescriptor.objects.bulk_create(FaceDescriptor(face=face, version=77, vector=vector) for face in made)
    ListFace.objects.bulk_create(ListFace(list=row, face=face, link_key=n) for n, face in enumerate(made, faces + 1))
    ListUnlink.objects.bulk_create(
        ListUnlink(list=row, face_id=face.face_id, link_key=n, unlink_key=n) for n, face in enumerate(made, 1)
    )
    jpeg: dict[str, Any] = {
        "account_id": account.pk,
        "bucket": Bucket.FACE_SAMPLES,
        "data": b"\0",
        "content_type": "image/jpeg",
    }
    samples_store(items=[NewObject(**jpeg) for _ in range(samples)])
    return row


def rows_of(account: Account) -> dict[str, int]:
    return {model.__name__: model.objects.for_account(account.pk).count() for model in (Face, List, StoredObject)}


def test_much_goes_with_bounded_memory_and_in_bounded_batches(store_dir: Path) -> None:
    account, staying = make_account(), make_account()
    crowd(account, FACES)
    crowd(staying, 3, 2)
    seen: list[tuple[str, int]] = []
    services.account_close(account=account)
    tracemalloc.start()
    with CaptureQueriesContext(connection) as queries:
        queries.connection.force_debug_cursor = False  # it would keep every statement with its values
        done = account_erase(account_id=account.pk, progress=lambda table, rows: seen.append((table, rows)))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done is not None
    print(f"{sum(done.removed.values())} rows in {len(seen)} batches, {peak_bytes / 1e6:.1f} MB")
    assert {table: rows for table, rows in done.removed.items() if rows} == {
        "faces_face": FACES,
        "faces_faceattribute": FACES,
        "faces_facedescriptor": FACES,
        "faces_list": 1,
        "faces_listface": FACES,
        "faces_listunlink": FACES,
    }
    assert len(seen) == 5 * FACES // BATCH_ROWS + 1
    assert peak_bytes < 5e6
    assert not Account.objects.filter(pk=account.pk).exists()
    assert rows_of(staying) == {"Face": 3, "List": 1, "StoredObject": 2}
    assert len(stored_names()) == 4


@pytest.mark.usefixtures("account_header")
def test_a_closed_account_lets_nobody_in_and_its_login_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_account()
    login = account.login
    monkeypatch.setattr(services, "account_erase", lambda **_: None)  # as if the process died here
    assert basic_client(account).delete("/6/account").status_code == 204
    for client, code in ((basic_client(account), 41006), (header_client(account), 11065)):
        answer = client.get("/6/faces")
        assert (answer.status_code, answer.json()["error_code"]) == (401, code)
    assert accounts_to_erase() == [account.pk]
    again = {"login": login, "password": PASSWORD, "account_type": "user"}
    answer = Client().post("/6/accounts", again, content_type="application/json")
    assert answer.status_code == 201, answer.content
    other = answer.json()["account_id"]
    assert AuditRecord.objects.filter(action="delete", object_type="account").count() == 1
    monkeypatch.undo()
    erase()
    assert [str(pk) for pk in Account.objects.values_list("pk", flat=True)] == [other]


class DeadError(BaseException):
    """What no code catches, like the end of the process."""


@pytest.mark.parametrize("after", range(1, 12, 2))
def test_after_a_crash_it_goes_on(store_dir: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    monkeypatch.setattr(erasure, "BATCH_ROWS", 3)
    monkeypatch.setattr("apps.imagestore.erasure.BATCH_ROWS", 3)
    account = make_account()
    crowd(account, 10, 5)
    make_event(account)
    went = 0

    def die(table: str, rows: int) -> None:
        nonlocal went
        went += 1
        if went == after:
            raise DeadError

    services.account_close(account=account)
    with pytest.raises(DeadError):
        account_erase(account_id=account.pk, progress=die)
    assert Account.objects.filter(pk=account.pk).exists()
    erase()
    assert rows_of(account) == {"Face": 0, "List": 0, "StoredObject": 0}
    assert not Account.objects.exists()
    assert stored_names() == []


def test_a_request_that_deletes_much_leaves_the_rest_to_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "ERASE_S", 0.0)
    account = make_account()
    crowd(account, BATCH_ROWS + 1)
    assert basic_client(account).delete("/6/account").status_code == 204
    assert 0 < rows_count(account.pk)["faces_face"] <= BATCH_ROWS + 1
    erase()
    assert not Account.objects.exists()
    assert FaceDescriptor.objects.count() == 0


def test_a_storage_that_fails_keeps_the_rest_for_later(store_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_account()
    crowd(account, 1, 2)

    def refuse(keys: Any) -> None:
        raise OSError("read-only")

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_all", refuse)
        assert basic_client(account).delete("/6/account").status_code == 204
        with pytest.raises(LunaError):
            erase()
    assert accounts_to_erase() == [account.pk]
    assert StoredObject.objects.for_account(account.pk).count() == 2
    erase()
    assert not Account.objects.exists()
    assert stored_names() == []


def test_what_a_late_request_adds_goes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_account()
    crowd(account, 2)
    late: list[UUID] = []

    def add(account_id: UUID, run: Erasure) -> None:
        if len(late) < 2:  # after the first and after the second go
            late.append(account_id)

    def count(table: str, rows: int) -> None:
        if late and table == "faces_list":
            Face.objects.create(account_id=late[-1])

    monkeypatch.setitem(holdings._rooms, "another room", Holding(account=add))
    services.account_close(account=account)
    done = account_erase(account_id=account.pk, progress=count)
    assert done is not None
    assert done.removed["faces_face"] == 3
    assert not Account.objects.exists()


@pytest.mark.usefixtures("account_header")
@pytest.mark.parametrize(
    ("path", "body", "content_type"),
    [
        ("/6/faces", {}, "application/json"),
        ("/6/lists", {}, "application/json"),
        ("/6/handlers", {"policies": {}}, "application/json"),
        ("/6/objects", b"{}", "application/json"),
        ("/6/images", picture(), "image/jpeg"),
    ],
)
def test_what_comes_too_late_is_of_no_account(
    monkeypatch: pytest.MonkeyPatch, store_dir: Path, path: str, body: Any, content_type: str
) -> None:
    """The account goes after the request was let in."""
    account = Account(account_id=uuid4(), login="gone@luna.test")
    monkeypatch.setattr(selectors, "account_find", lambda account_id: account)
    answer = header_client(account).post(path, body, content_type)
    assert (answer.status_code, answer.json()["error_code"]) == (404, 15012)
    assert str(account.account_id) in answer.json()["detail"]
    assert stored_names() == []
