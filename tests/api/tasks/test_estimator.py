"""Estimator tasks over HTTP, executed by the machine of tasks: archives of the own account."""

import io
import zipfile
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.common import errors
from apps.common.config import AdditionalServices
from apps.events.models import Event
from apps.imagestore.models import StoredObject
from apps.tasks.choices import TaskStatus
from apps.tasks.machine import queue
from apps.tasks.models import SubtaskOutput, Task, TaskError
from tests.api.handlers.helpers import JSON, astronaut, nobody
from tests.factories import client_of, make_account
from tests.tasks import run_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]
HANDLER = {"policies": {"storage_policy": {"face_sample_policy": {"store_sample": 0}}}}


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


def archive(client: Client) -> str:
    """Store an archive of three files; return its external address."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, data in {"a.jpg": astronaut(), "b.jpg": nobody(), "c.txt": b"no picture"}.items():
            packed.writestr(name, data)
    answer = client.post("/6/objects", buffer.getvalue(), content_type="application/zip")
    assert answer.status_code == 201
    url: str = answer.json()["external_url"]
    return url


def create(client: Client, reference: str, handler: Any = HANDLER) -> Any:
    content = {"source": {"source_type": "zip", "reference": reference}, "handler": handler}
    return client.post("/6/tasks/estimator", {"content": content}, JSON)


def ended(url: str) -> Task:
    run_all()
    return Task.objects.unscoped().get(task_id=int(url.rpartition("/")[2]))


def test_result(client: Client, account: Account) -> None:
    url = create(client, archive(client)).json()["url"]
    task = ended(url)
    assert (task.task_status, task.count_task_parts_done, task.count_task_parts_all) == (TaskStatus.DONE, 3, 3)
    found = client.get(f"{url}/result").json()
    assert [answer["images"][0]["filename"] for answer in found["result"]] == ["a.jpg", "b.jpg"]
    assert [(error["error_code"], error["additional_info"]) for error in found["errors"]] == [
        (errors.BAD_IMAGE, "c.txt")
    ]
    (event,) = Event.objects.for_account(account.pk)
    assert [each["event_id"] for each in found["result"][0]["events"]] == [str(event.event_id)]
    assert client.get(f"/6/events/{event.event_id}").status_code == 200
    assert SubtaskOutput.objects.exists()
    queue.outputs_sweep()
    assert not SubtaskOutput.objects.exists()


def test_archives_of_others_do_not_exist(client: Client, stranger: Client) -> None:
    foreign, missing = archive(stranger), f"/6/objects/{uuid4()}"
    details = []
    for reference in (foreign, missing):
        task = ended(create(client, reference).json()["url"])
        assert task.task_status == TaskStatus.FAILED
        error = TaskError.objects.get(task=task)
        assert error.error_code == errors.ARCHIVE_READ_FAILED
        details.append(error.detail.rpartition(": ")[2])
    assert details == ["the object does not exist"] * 2


def test_without_the_image_store(client: Client, configure: Callable[..., None]) -> None:
    reference = archive(client)
    policies = {
        "storage_policy": {"face_sample_policy": {"store_sample": 0}, "image_origin_policy": {"store_image": 0}}
    }
    configure(AdditionalServices, luna_image_store=False)
    answer = create(client, reference, {"policies": policies})
    assert answer.status_code == 202, answer.json()
    task = ended(answer.json()["url"])
    assert (task.task_status, task.result_id) == (TaskStatus.DONE, None)
    assert not SubtaskOutput.objects.exists()


def test_without_handlers(client: Client, configure: Callable[..., None]) -> None:
    configure(AdditionalServices, luna_handlers=False)
    answer = create(client, "/6/objects/x")
    assert (answer.status_code, answer.json()["error_code"]) == (403, errors.HANDLERS_DISABLED)


def test_handlers_of_others(client: Client) -> None:
    other = client_of(make_account())
    handler_id = other.post("/6/handlers", {"policies": {}}, JSON).json()["handler_id"]
    answer = create(client, "/6/objects/x", {"handler_id": handler_id})
    assert (answer.status_code, answer.json()["error_code"]) == (404, errors.HANDLER_NOT_FOUND)


def test_passwords_are_not_shown(client: Client, account: Account) -> None:
    content = {
        "source": {"source_type": "zip", "reference": "/6/objects/x", "authorization": {"password": "opensesame"}},
        "handler": HANDLER,
    }
    url = client.post("/6/tasks/estimator", {"content": content}, JSON).json()["url"]
    assert "opensesame" not in client.get(url).content.decode()
    assert "opensesame" not in str(Task.objects.unscoped().values_list("content").get())


def test_deleting_a_task_deletes_its_result(client: Client, account: Account) -> None:
    url = create(client, archive(client)).json()["url"]
    task = ended(url)
    assert client.delete(url).status_code == 204
    assert not StoredObject.objects.unscoped().filter(object_id=task.result_id).exists()
    assert not SubtaskOutput.objects.exists()
