"""Tasks and schedules of all accounts over `/4`."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from apps.accounts.models import Account, AuditRecord
from apps.common.config import AdditionalServices
from apps.common.times import utc_now
from apps.events.models import Event
from apps.tasks.choices import TaskStatus
from apps.tasks.models import Schedule, Task, TaskError
from tests.factories import basic_client, client_of, make_account, make_event
from tests.tasks import run_all

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]
JSON = "application/json"
OLD = {"target": "events", "filters": {"create_time__lt": "now-30d"}}


@pytest.fixture
def client(admin: Account) -> Client:
    return basic_client(admin)


@pytest.fixture
def owners_task(account: Account) -> str:
    """The path below `/6` or `/4` of a task of a client."""
    answer = client_of(account).post("/6/tasks/clustering", {"content": {"objects_type": "faces"}}, JSON)
    return f"tasks/{answer.json()['task_id']}"


def code(answer: Any) -> tuple[int, int]:
    return answer.status_code, answer.json()["error_code"]


def events_left() -> set[UUID]:
    return set(Event.objects.unscoped().values_list("event_id", flat=True))


def test_garbage_is_collected_in_all_accounts(client: Client, admin: Account) -> None:
    old = utc_now() - timedelta(days=31)
    for _ in range(2):
        make_event(make_account(), create_time=old)
    kept = make_event(make_account(), create_time=utc_now())
    answer = client.post("/4/tasks/gc", {"content": OLD, "description": "old events"}, JSON)
    assert answer.status_code == 202
    path = f"/4/tasks/{answer.json()['task_id']}"
    assert answer.json()["url"] == answer.headers["Location"] == path
    run_all()
    task = client.get(path).json()
    assert (task["account_id"], task["task_status"], task["description"]) == (None, TaskStatus.DONE, "old events")
    assert events_left() == {kept.event_id}
    result = client.get(f"{path}/result").json()
    assert result["result"]["removed"] == 2
    read = AuditRecord.objects.get(action="view", object_type="task_result")
    assert (read.account_id, read.object_id) == (admin.pk, task["result_id"])


def test_a_filter_names_one_account(client: Client) -> None:
    old = utc_now() - timedelta(days=31)
    mine, others = (make_event(make_account(), create_time=old) for _ in range(2))
    content = {**OLD, "filters": {**OLD["filters"], "account_id": str(mine.account_id)}}  # type: ignore[dict-item]
    assert client.post("/4/tasks/gc", {"content": content}, JSON).status_code == 202
    run_all()
    assert events_left() == {others.event_id}


@pytest.mark.parametrize("content", [{}, {"target": "events"}, {"target": "all"}, {**OLD, "unknown": 1}])
def test_bad_contents(client: Client, content: Any) -> None:
    assert code(client.post("/4/tasks/gc", {"content": content}, JSON)) == (400, 12027)
    assert not Task.objects.unscoped().exists()


def test_additional_extraction_is_for_operators(client: Client, account: Account) -> None:
    body = {"content": {"extraction_target": "basic_attributes", "filters": {"object_type": "faces"}}}
    answer = client.post("/4/tasks/additional_extract", body, JSON)
    assert answer.status_code == 202, answer.content
    assert code(client_of(account).post("/6/tasks/additional_extract", body, JSON)) == (404, 12013)
    assert code(client.post("/4/tasks/clustering", {"content": {"objects_type": "faces"}}, JSON)) == (404, 12013)


def test_tasks_of_every_account_are_read_cancelled_and_deleted(client: Client, owners_task: str) -> None:
    (found,) = client.get("/4/tasks").json()["tasks"]
    assert f"tasks/{found['task_id']}" == owners_task
    assert client.get("/4/tasks/count").json() == {"tasks_count": 1}
    assert client.get(f"/4/tasks/count?account_id={found['account_id']}").json() == {"tasks_count": 1}
    assert client.get(f"/4/tasks/count?account_id={make_account().pk}").json() == {"tasks_count": 0}
    assert client.patch(f"/4/{owners_task}").status_code == 204
    assert code(client.patch(f"/4/{owners_task}"))[0] in (400, 409)
    assert client.get(f"/4/{owners_task}").json()["task_status"] == TaskStatus.CANCELLED
    assert client.delete(f"/4/{owners_task}").status_code == 204
    assert code(client.get(f"/4/{owners_task}")) == (404, 28001)


def test_errors_and_parts_of_every_account(client: Client, owners_task: str) -> None:
    run_all()
    (part,) = client.get(f"/4/{owners_task}/subtasks").json()["subtasks"]
    assert code(client.get(f"/4/{owners_task}/result")) == (404, 28020), "nothing to cluster"
    assert code(client.get(f"/4/{owners_task}/subtasks/{part['subtask_id']}/result")) == (404, 28020)
    TaskError.objects.all().delete()
    row = TaskError.objects.create(
        task_id=part["task_id"], error_code=7, description="d", detail="d", error_time=utc_now()
    )
    path = f"/4/tasks/errors/{row.pk}"
    assert client.get(path).json()["error_code"] == 7
    for route in (f"/4/{owners_task}/errors", "/4/tasks/errors"):
        assert [each["error_id"] for each in client.get(route).json()["errors"]] == [row.pk]
    assert client.get("/4/tasks/errors/count").json() == {"task_error_count": 1}
    assert client.delete(path).status_code == 204
    assert not TaskError.objects.exists()


def test_the_notification_policy_of_every_account(client: Client, owners_task: str) -> None:
    policy = {"task_callbacks": [{"type": "http", "url": "http://receiver.test/"}]}
    path = f"/4/{owners_task}/notification_policy"
    assert client.put(path, {"notification_policy": policy}, JSON).status_code == 204
    (shown,) = client.get(path).json()["notification_policy"]["task_callbacks"]
    assert shown["url"] == "http://receiver.test/"


def test_schedules(client: Client, account: Account) -> None:
    body: dict[str, Any] = {
        "task": {"task_type": "gc", "content": OLD},
        "trigger": {"cron": "0 0 * * *"},
        "behaviour": {"start_immediately": True},
    }
    answer = client.post("/4/tasks/schedules", body, JSON)
    assert answer.status_code == 201
    path = answer.json()["url"]
    assert path == f"/4/tasks/schedules/{answer.json()['schedule_id']}"
    assert Task.objects.unscoped().get().account_id is None, "the first task"
    assert client.patch(path, {"action": "stop"}, JSON).status_code == 204
    assert client.get(path).json()["next_run_at"] is None
    body["trigger"]["cron"], body["behaviour"] = "30 1 * * *", {"create_stopped": False}
    assert client.put(path, body, JSON).status_code == 204
    found = client.get(path).json()
    assert (found["trigger"], found["account_id"], found["status"]) == ("30 1 * * *", None, 1)
    assert code(client_of(account).get(path.replace("/4/", "/6/"))) == (404, 28040)

    own = {"task": {"task_type": "clustering", "content": {"objects_type": "faces"}}, "trigger": {"cron": "0 0 * * *"}}
    theirs = client_of(account).post("/6/tasks/schedules", own, JSON).json()["url"].replace("/6/", "/4/")
    assert client.put(theirs, {**own, "trigger": {"cron": "5 5 * * *"}}, JSON).status_code == 204
    assert client.get(theirs).json()["account_id"] == str(account.pk), "the owner stays"
    assert {each["schedule_id"] for each in client.get("/4/tasks/schedules").json()["schedules"]} == {
        *Schedule.objects.unscoped().values_list("pk", flat=True)
    }
    for each in (path, theirs):
        assert client.delete(each).status_code == 204
        assert code(client.get(each)) == (404, 28040)


def test_a_task_can_belong_to_an_account(client: Client, account: Account) -> None:
    body = {"content": OLD, "account_id": str(account.pk)}
    path = client.post("/4/tasks/gc", body, JSON).json()["url"]
    assert client_of(account).get(path.replace("/4/", "/6/")).json()["account_id"] == str(account.pk)
    assert code(client.post("/4/tasks/gc", {**body, "account_id": str(uuid4())}, JSON)) == (404, 15012)


def test_operators_schedule_additional_extraction(client: Client, account: Account) -> None:
    content = {"extraction_target": "basic_attributes", "filters": {"object_type": "faces"}}
    body = {"task": {"task_type": "additional_extract", "content": content}, "trigger": {"cron": "0 0 * * *"}}
    assert client.post("/4/tasks/schedules", body, JSON).status_code == 201
    assert code(client_of(account).post("/6/tasks/schedules", body, JSON)) == (403, 12033)


def test_unknown_tasks(client: Client) -> None:
    for path, expected in (("tasks/7", 28001), ("tasks/schedules/7", 28040), ("tasks/errors/7", 28003)):
        assert code(client.get(f"/4/{path}")) == (404, expected)
        assert code(client.delete(f"/4/{path}")) == (404, expected)


def test_switched_off_services(client: Client, configure: Any) -> None:
    configure(AdditionalServices, luna_handlers=False)
    body = {"content": {"extraction_target": "basic_attributes", "filters": {"object_type": "faces"}}}
    assert code(client.post("/4/tasks/additional_extract", body, JSON)) == (403, 11071)
    configure(AdditionalServices, luna_tasks=False)
    assert code(client.get("/4/tasks")) == (403, 11039)
    assert client.get("/4/accounts").status_code == 200
