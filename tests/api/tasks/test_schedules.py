"""Schedules over HTTP."""

from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client

from apps.accounts.models import Account, AuditRecord
from apps.tasks.models import Schedule, Task
from apps.tasks.types.registry import task_type_named
from tests.factories import basic_client, client_of, make_account

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]
JSON = "application/json"
TASK: dict[str, Any] = {"task_type": "clustering", "content": {"objects_type": "faces"}}


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


def body(task: Any = None, trigger: Any = None, **behaviour: Any) -> dict[str, Any]:
    chosen = {"task": {**TASK, **(task or {})}, "trigger": {"cron": "0 3 * * *", **(trigger or {})}}
    return chosen | ({"behaviour": behaviour} if behaviour else {})


def create(client: Client, sent: Any = None) -> str:
    response = client.post("/6/tasks/schedules", sent or body(), JSON)
    assert response.status_code == 201, response.content
    assert response.json()["url"] == f"/6/tasks/schedules/{response.json()['schedule_id']}"
    return str(response.json()["url"])


def code(response: Any) -> tuple[int, int]:
    return response.status_code, response.json()["error_code"]


def test_create_and_read(client: Client, account: Account) -> None:
    account.time_zone = "Europe/Berlin"
    account.save()
    url = create(
        client,
        body(
            {"description": "night", "result_storage_policy": {"ttl": 7}, "task_type": 2},
            {"cron": "0 3 1 JAN *", "cron_timezone": "LOCAL"},
        ),
    )
    found = client.get(url).json()
    assert found["next_run_at"][5:] == "01-01T02:00:00.000000Z"
    assert {name: found[name] for name in found if not name.endswith(("_time", "_at", "schedule_id"))} == {
        "account_id": str(account.pk),
        "status": 1,
        "trigger": "0 3 1 JAN *",
        "trigger_timezone": "LOCAL",
        "time_zone": "Europe/Berlin",
        "task_type": 2,
        "content": {"objects_type": "faces"},
        "description": "night",
        "result_storage_policy": {"ttl": 7},
        "notification_policy": None,
    }
    assert client.get("/6/tasks/schedules").json() == {"schedules": [found]}
    assert not Task.objects.unscoped().exists()


def test_start_immediately_stop_start_replace_and_delete(client: Client) -> None:
    url = create(client, body(start_immediately=True))
    number = int(url.rpartition("/")[2])
    (task,) = client.get("/6/tasks", {"schedule_id": number}).json()["tasks"]
    assert (task["schedule_id"], task["content"]) == (number, TASK["content"])
    assert client.patch(url, {"action": "stop"}, JSON).status_code == 204
    assert (client.get(url).json()["status"], client.get(url).json()["next_run_at"]) == (2, None)
    assert client.put(url, body({"description": "new"}), JSON).status_code == 204
    found = client.get(url).json()
    assert (found["status"], found["description"]) == (2, "new")
    assert client.patch(url, {"action": "start"}, JSON).status_code == 204
    assert client.get(url).json()["next_run_at"] is not None
    assert client.put(url, body(create_stopped=True), JSON).status_code == 204
    assert client.get(url).json()["status"] == 2
    assert client.delete(url).status_code == 204
    for response in (client.get(url), client.delete(url), client.put(url, body(), JSON),
                     client.patch(url, {"action": "stop"}, JSON)):  # fmt: skip
        assert code(response) == (404, 28040)
    assert client.get(f"/6/tasks/{task['task_id']}").status_code == 200
    lines = AuditRecord.objects.filter(object_type="schedule").order_by("pk")
    assert [each.action for each in lines] == ["create", "update", "update", "update", "update", "delete"]


def test_filters(client: Client) -> None:
    first, second = create(client), create(client, body({"task_type": "clustering"}, create_stopped=True))
    numbers = [int(url.rpartition("/")[2]) for url in (second, first)]
    for query, expected in (
        ({}, numbers),
        ({"status": 1}, numbers[1:]),
        ({"status": "stopped"}, numbers[:1]),
        ({"task_type": "clustering"}, numbers),
        ({"task_type": "gc"}, []),
        ({"schedule_ids": numbers[0]}, numbers[:1]),
        ({"page": 2, "page_size": 1}, numbers[1:]),
    ):
        found = client.get("/6/tasks/schedules", query).json()["schedules"]
        assert [each["schedule_id"] for each in found] == expected, query
    assert code(client.get("/6/tasks/schedules", {"status": "paused"})) == (400, 12012)


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({}, "task"),
        ({"task": TASK}, "trigger"),
        ({**body(), "extra": 1}, "extra"),
        (body({"task_type": "cat"}), "task.task_type"),
        (body({"task_type": True}), "task.task_type"),
        (body({"task_type": 99}), "task.task_type"),
        (body({"task_type": "9" * 5000}), "task.task_type"),
        (body({"content": {"objects_type": "cats"}}), "Path: 'task.content.objects_type'"),
        (body({"task_type": "gc", "content": {"target": "faces", "filters": {}}}), "Path: 'task.content.filters'"),
        (body({"content": [1]}), ""),
        (body({"extra": 1}), "task.extra"),
        (body({"description": "x" * 129}), "task.description"),
        (body({"result_storage_policy": {"ttl": 8}}), "task.result_storage_policy.ttl"),
        (
            body({"notification_policy": {"task_callbacks": [{"type": "x"}]}}),
            "'task.notification_policy.task_callbacks.0.type'",
        ),
        (body(None, {"cron": "0 3 * *"}), "trigger.cron"),
        (body(None, {"cron": 5}), "trigger.cron"),
        (body(None, {"cron": "* " * 200}), "trigger.cron"),
        (body(None, {"cron_timezone": "Europe/Berlin"}), "trigger.cron_timezone"),
        (body(start_immediately="maybe"), "behaviour.start_immediately"),
        ([], ""),
    ],
)
def test_bad_bodies(client: Client, sent: Any, path: str) -> None:
    response = client.post("/6/tasks/schedules", sent, JSON)
    assert code(response) == (400, 12027), response.content
    assert path in response.json()["detail"]
    assert not Schedule.objects.unscoped().exists()


def test_types_without_schedules_and_those_of_operators(client: Client, admin: Account) -> None:
    clustering = type(task_type_named("clustering"))
    with patch.object(clustering, "schedulable", False):
        response = client.post("/6/tasks/schedules", body(), JSON)
    assert code(response) == (400, 12027)
    with patch.object(clustering, "operators_only", True):
        for each in (client, client_of(admin)):
            assert code(each.post("/6/tasks/schedules", body(), JSON)) == (403, 12033)


def test_schedules_of_others(client: Client, account: Account, stranger: Client, admin: Account) -> None:
    url = create(client)
    for response in (stranger.get(url), stranger.put(url, body(), JSON), stranger.delete(url),
                     stranger.patch(url, {"action": "stop"}, JSON)):  # fmt: skip
        assert code(response) == (404, 28040)
    assert stranger.get("/6/tasks/schedules").json() == {"schedules": []}
    overseer = basic_client(admin)
    assert overseer.get(url).status_code == 200
    assert code(overseer.delete(url)) == (404, 28040)
    assert client_of(make_account()).get("/6/tasks/schedules", {"account_id": str(account.pk)}).status_code == 403
    for wrong in ("0", "x", "9" * 30, "-1"):
        assert code(client.get(f"/6/tasks/schedules/{wrong}")) == (404, 28040)
    assert code(client.patch(url, {"action": "pause"}, JSON)) == (400, 12027)
