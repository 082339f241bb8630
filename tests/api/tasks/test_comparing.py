"""Linker, cross-matching and ROC over HTTP, executed by the machine."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Account
from apps.common.config import AdditionalServices, override_config
from apps.common.descriptors import Descriptor, versions
from apps.faces.models import Face, FaceDescriptor, List, ListFace
from apps.faces.services import list_create
from apps.imagestore.services import object_delete
from apps.tasks.choices import TaskStatus
from apps.tasks.results import BUCKET
from tests.factories import client_of, make_account, make_event, make_version, unit_vectors
from tests.tasks import run_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]
NUMBER = 9751
VECTORS = unit_vectors(4, 8)


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "_defaults", {"face": make_version(NUMBER, 8).version})


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


@pytest.fixture
def face_ids(account: Account) -> list[str]:
    faces = Face.objects.bulk_create([Face(account=account) for _ in VECTORS])
    FaceDescriptor.objects.bulk_create(
        FaceDescriptor(face=face, version=NUMBER, vector=vector) for face, vector in zip(faces, VECTORS, strict=True)
    )
    return [str(face.face_id) for face in faces]


def create(client: Client, name: str, **content: Any) -> Any:
    return client.post(f"/6/tasks/{name}", {"content": content}, content_type="application/json")


def done(client: Client, name: str, **content: Any) -> tuple[Any, Any]:
    """Create and execute a task. Its row, and the body of its result."""
    created = create(client, name, **content)
    assert created.status_code == 202, created.json()
    run_all()
    url = created.json()["url"]
    return client.get(url).json(), client.get(f"{url}/result").json()


def test_linker(client: Client, account: Account, face_ids: list[str]) -> None:
    event = make_event(account, Descriptor(NUMBER, VECTORS[0]))
    task, body = done(client, "linker", objects_type="faces", create_list=1, user_data="all")
    assert (task["task_status"], task["count_task_parts_done"]) == (TaskStatus.DONE, 4)
    assert body["result"]["face_ids"] == face_ids
    row = List.objects.for_account(account.pk).get()
    assert (str(row.list_id), row.user_data) == (body["result"]["list_id"], "all")
    task, body = done(client, "linker", objects_type="events", list_id=str(row.list_id))
    (made,) = body["result"]["face_ids"]
    assert Face.objects.for_account(account.pk).get(face_id=made).event_id == event.event_id
    assert ListFace.objects.filter(list=row).count() == 5


def test_linker_without_the_image_store(client: Client, account: Account, face_ids: list[str]) -> None:
    with override_config(AdditionalServices, luna_image_store=False):
        task, body = done(client, "linker", objects_type="faces", create_list=1)
    assert (task["task_status"], task["result_id"], body["error_code"]) == (TaskStatus.DONE, None, 28017)
    assert ListFace.objects.count() == len(face_ids)


def test_cross_matching(client: Client, face_ids: list[str]) -> None:
    references = [{"face_ids": [*face_ids[:2], str(uuid4())]}]
    filters = {"reference_filters": references, "candidate_filters": {"face_ids": face_ids}}
    task, body = done(client, "cross_match", filters=filters, limit=1)
    assert task["task_status"] == TaskStatus.DONE
    found = [(each["reference_id"], [one["candidate_id"] for one in each["candidates"]]) for each in body["result"]]
    assert found == [(each, [each]) for each in face_ids[:2]]
    assert [error["error_code"] for error in body["errors"]] == [28023]


def test_roc(client: Client, face_ids: list[str]) -> None:
    markup = [{"face_id": each, "label": label} for each, label in zip(face_ids, "aabb", strict=True)]
    task, body = done(client, "roc", markup=markup, key_FPRs=[0.5])
    assert (task["task_status"], body["result"]["positive_pairs"]) == (TaskStatus.DONE, 2)
    assert 0 <= body["result"]["auc"] <= 1


def test_the_page_of_a_roc_task_shows_its_curve(
    site: Client, client: Client, account: Account, face_ids: list[str]
) -> None:
    markup = [{"face_id": each, "label": label} for each, label in zip(face_ids, "aabb", strict=True)]
    task, _ = done(client, "roc", markup=markup)
    url = reverse("admin:tasks_task_change", args=(task["task_id"],))
    shown = site.get(url).content.decode()
    assert "<polyline" in shown
    assert "equal errors: FPR" in shown
    object_delete(bucket=BUCKET, account_id=account.pk, object_id=UUID(task["result_id"]))
    assert "<polyline" not in site.get(url).content.decode()


def test_failures_are_errors_of_the_task(client: Client, face_ids: list[str]) -> None:
    filters = {"reference_filters": {"face_ids": [str(uuid4())]}, "candidate_filters": {}}
    url = create(client, "cross_match", filters=filters).json()["url"]
    run_all()
    assert client.get(url).json()["task_status"] == TaskStatus.FAILED
    assert client.get(f"{url}/result").json()["error_code"] == 28020


def test_other_accounts(client: Client, face_ids: list[str]) -> None:
    stranger = make_account()
    foreign = str(stranger.account_id)
    row = list_create(account_id=stranger.account_id)
    sets = {"reference_filters": {"account_id": foreign}, "candidate_filters": {}}
    for name, content, status, code in (
        ("linker", {"objects_type": "faces", "list_id": str(row.list_id)}, 404, 22003),
        ("linker", {"objects_type": "faces", "create_list": 1, "account_id": foreign}, 403, 11069),
        ("cross_match", {"filters": sets}, 403, 11069),
        ("roc", {"markup": [{"face_id": face_ids[0], "label": 1}], "account_id": foreign}, 403, 11069),
    ):
        answer = create(client, name, **content)
        assert (answer.status_code, answer.json()["error_code"]) == (status, code), name
    theirs = client_of(stranger)
    filters = {"reference_filters": {"face_ids": face_ids}, "candidate_filters": {"face_ids": face_ids}}
    url = create(theirs, "cross_match", filters=filters).json()["url"]
    run_all()
    assert theirs.get(url).json()["task_status"] == TaskStatus.FAILED  # it finds none of them
    assert client.get(url).status_code == 404


def test_additional_extraction_is_for_operators(client: Client) -> None:
    content = {"extraction_target": "basic_attributes", "filters": {"object_type": "faces"}}
    assert create(client, "additional_extract", **content).status_code == 404
