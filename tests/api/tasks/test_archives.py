"""Exports, reports and garbage collection over HTTP, executed by the machine."""

import csv
import io
import zipfile
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.common import errors
from apps.common.descriptors import Descriptor, versions
from apps.faces.models import Face
from apps.faces.services import face_create
from apps.faces.types import AttributeData, FaceDraft
from apps.tasks.models import Subtask, Task
from apps.tasks.types import exporter, gc
from tests.factories import client_of, make_event, unit_vectors
from tests.tasks import run_all
from tests.unit.tasks.archive_tasks import sample

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


def create(client: Client, name: str, **content: Any) -> Any:
    return client.post(f"/6/tasks/{name}", {"content": content}, content_type="application/json")


def done(client: Client, name: str, **content: Any) -> Any:
    """The response with the result of a task."""
    url = create(client, name, **content).json()["url"]
    run_all()
    assert client.get(url).json()["task_status"] == 5
    return client.get(f"{url}/result")


def unzipped(response: Any, table: str) -> tuple[list[dict[str, str]], set[str]]:
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/zip")
    assert response.headers["Content-Disposition"].startswith('attachment; filename="task_')
    with zipfile.ZipFile(io.BytesIO(response.getvalue())) as archive:
        rows = [*csv.DictReader(io.StringIO(archive.read(table).decode(), newline=""))]
        return rows, {name for name in archive.namelist() if name != table}


def faces(account: Account, count: int) -> list[str]:
    """Faces with the same descriptor of the default version."""
    version = versions.default("face")
    attribute = AttributeData(
        descriptors=(Descriptor(version.version, unit_vectors(1, version.dimension)[0], 1.0),),
        descriptor_samples=(sample(account),),
    )
    drafts = [FaceDraft(user_data=f"f{number}", attribute=attribute) for number in range(count)]
    return [str(face_create(account_id=account.account_id, draft=draft).face_id) for draft in drafts]


def test_an_export_of_several_subtasks(client: Client, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "ROWS_WITH_PICTURES", 2)
    ids = faces(account, 5)
    response = done(client, "exporter", objects_type="faces", columns=["user_data"], save_images=1)
    rows, pictures = unzipped(response, "export.csv")
    assert rows == [{"face_id": face_id, "user_data": f"f{number}"} for number, face_id in enumerate(ids)]
    assert pictures == {f"images/{face_id}.jpg" for face_id in ids}
    assert Subtask.objects.count() == 3
    task: Any = Task.objects.unscoped().get()
    assert (task.count_task_parts_done, task.count_task_parts_all) == (5, 5)


def test_a_report_of_a_clustering_task(client: Client, account: Account, stranger: Client) -> None:
    ids = faces(account, 3)
    clustering = create(client, "clustering", objects_type="faces").json()["task_id"]
    waiting = create(client, "reporter", task_id=clustering)
    assert (waiting.status_code, waiting.json()["error_code"]) == (400, errors.TASK_STATUS_WITHOUT_REPORT)
    run_all()
    rows, pictures = unzipped(done(client, "reporter", task_id=clustering, columns=["external_id"]), "report.csv")
    assert {(row["cluster"], row["face_id"]) for row in rows} == {("0", face_id) for face_id in ids}
    assert pictures == set()
    foreign = create(stranger, "reporter", task_id=clustering)
    assert (foreign.status_code, foreign.json()["error_code"]) == (404, errors.TASK_NOT_FOUND)


def test_garbage_collection_of_several_subtasks(
    client: Client, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "SUBTASK_OBJECTS", 2)
    monkeypatch.setattr(gc, "PAGE", 1)
    events = [str(make_event(account).event_id) for _ in range(5)]
    response = done(client, "gc", target="events", remove_samples=True)
    assert response.json() == {
        "result": {"event_ids": events, "removed": 5, "samples": 0, "image_origins": 0},
        "errors": [],
    }
    faces(account, 1)
    refused = create(client, "gc", target="face_descriptors", options={"descriptor_version": 1})
    assert (refused.status_code, refused.json()["error_code"]) == (400, errors.INVALID_JSON)
    assert Face.objects.for_account(account.account_id).count() == 1


def test_an_export_of_the_account_of_others_is_refused(client: Client, stranger: Client, account: Account) -> None:
    response = create(stranger, "exporter", objects_type="faces", filters={"account_id": str(account.account_id)})
    assert (response.status_code, response.json()["error_code"]) == (403, errors.FOREIGN_ACCOUNT_ID)
