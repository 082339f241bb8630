"""Creation, reads, cancellation, deletion and results of tasks over HTTP."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.accounts.models import Account, AuditRecord
from apps.common import errors
from apps.common.config import AdditionalServices
from apps.imagestore.models import StoredObject
from apps.tasks.choices import TaskStatus
from apps.tasks.models import Task
from tests.factories import client_of, token_without
from tests.tasks import installed, make_task, run_all
from tests.unit.tasks.types import Light, Numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]
CONTENT = {"objects_type": "faces"}


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


def create(client: Client, **body: Any) -> Any:
    return client.post("/6/tasks/clustering", {"content": CONTENT, **body}, content_type="application/json")


def code(response: Any) -> tuple[int, int]:
    return response.status_code, response.json()["error_code"]


def done(account: Account, until: int = 2) -> Task:
    task = make_task(Numbers(), {"until": until}, account_id=account.pk)
    with installed(Numbers()):
        run_all()
    return task


class TestCreation:
    def test_answer_and_row(self, client: Client, account: Account) -> None:
        response = create(client, description="night", result_storage_policy={"ttl": 7})
        assert response.status_code == 202
        body = response.json()
        assert body["url"] == f"/6/tasks/{body['task_id']}" == response.headers["Location"]
        found = client.get(body["url"]).json()
        assert (found["task_status"], found["description"], found["content"]) == (0, "night", CONTENT)
        assert (found["account_id"], found["result_id"], found["end_time"]) == (str(account.pk), None, None)
        assert Task.objects.unscoped().get().result_ttl_days == 7

    @pytest.mark.parametrize(
        "body",
        [
            {"content": {"objects_type": "cats"}},
            {"content": 5},
            {"content": None},
            {"description": "x" * 129},
            {"description": "a\x00b"},
            {"result_storage_policy": {"ttl": 8}},
            {"result_storage_policy": {"days": 7}},
            {"notification_policy": {"task_callbacks": [{"type": "pigeon"}]}},
            {"account": 1},
        ],
    )
    def test_bad_bodies(self, client: Client, body: dict[str, Any]) -> None:
        assert code(create(client, **body)) == (400, errors.INVALID_JSON)
        assert not Task.objects.unscoped().exists()

    def test_a_body_can_name_the_own_account_only(self, client: Client, account: Account) -> None:
        task = {"task_type": "exporter", "content": CONTENT}
        trigger = {"cron": "0 3 * * *"}
        for account_id, statuses in ((str(account.pk), (202, 201)), (str(uuid4()), (403, 403))):
            schedule = {"task": {**task, "account_id": account_id}, "trigger": trigger}
            answers = (
                create(client, account_id=account_id),
                client.post("/6/tasks/schedules", schedule, content_type="application/json"),
            )
            assert tuple(each.status_code for each in answers) == statuses
            assert {each.json().get("error_code") for each in answers} == {None if statuses[0] == 202 else 11069}

    def test_errors_name_the_place_in_the_body(self, client: Client) -> None:
        for content, place in (({"objects_type": "cats"}, "objects_type"), (CONTENT | {"filters": 5}, "filters")):
            detail = create(client, content=content).json()["detail"]
            assert detail.endswith(f"Path: 'content.{place}'")

    def test_unknown_types(self, client: Client) -> None:
        for name in ("nothing", "additional_extract", "clustering1", "٣"):
            response = client.post(f"/6/tasks/{name}", {"content": CONTENT}, content_type="application/json")
            assert code(response) == (404, errors.PAGE_NOT_FOUND)
        assert code(client.post("/6/tasks/1", {}, content_type="application/json")) == (405, errors.METHOD_NOT_ALLOWED)

    def test_without_the_image_store(self, client: Client, configure: Callable[..., None]) -> None:
        configure(AdditionalServices, luna_image_store=False)
        assert code(create(client)) == (403, errors.IMAGE_STORE_DISABLED)

    def test_without_the_right(self, account: Account) -> None:
        assert code(create(token_without(account, "task", "creation"))) == (403, errors.PERMISSION_DENIED)


class TestTask:
    def test_the_list_has_the_newest_first(self, client: Client) -> None:
        ids = [create(client).json()["task_id"] for _ in range(3)]
        found = client.get("/6/tasks", {"page": 1, "page_size": 2}).json()["tasks"]
        assert [each["task_id"] for each in found] == ids[:0:-1]

    def test_cancel_and_delete(self, client: Client) -> None:
        url = create(client).json()["url"]
        assert client.patch(url).status_code == 204
        assert client.get(url).json()["task_status"] == TaskStatus.CANCELLED
        assert code(client.patch(url)) == (400, errors.TASK_NOT_CANCELLABLE)
        assert code(client.get(f"{url}/result")) == (404, errors.TASK_STATUS_WITHOUT_RESULT)
        assert client.delete(url).status_code == 204
        assert code(client.get(url)) == (404, errors.TASK_NOT_FOUND)

    @pytest.mark.parametrize("task_id", ["0", "x", "-1", "1" * 30, "4294967296"])
    def test_unknown(self, client: Client, task_id: str) -> None:
        for response in (
            client.get(f"/6/tasks/{task_id}"),
            client.patch(f"/6/tasks/{task_id}"),
            client.delete(f"/6/tasks/{task_id}"),
            client.get(f"/6/tasks/{task_id}/result"),
        ):
            assert code(response) == (404, errors.TASK_NOT_FOUND)

    def test_of_another_account(self, client: Client, stranger: Client) -> None:
        url = create(client).json()["url"]
        for response in (stranger.get(url), stranger.patch(url), stranger.delete(url), stranger.get(f"{url}/result")):
            assert code(response) == (404, errors.TASK_NOT_FOUND)
        assert stranger.get("/6/tasks").json() == {"tasks": []}


class TestResult:
    def test_json(self, client: Client, account: Account) -> None:
        task = done(account)
        response = client.get(f"/6/tasks/{task.task_id}/result")
        assert response.status_code == 200
        assert response.json()["result"] == [0, 1]
        assert [each["error_code"] for each in response.json()["errors"]] == [errors.FACE_NOT_FOUND]
        line = AuditRecord.objects.get(action="view", object_type="task_result")
        assert line.object_account_id == account.pk

    def test_large_ones_are_streamed(self, client: Client, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("apps.imagestore.api.content.BLOCK_BYTES", 10)
        task = done(account)
        response = client.get(f"/6/tasks/{task.task_id}/result")
        assert response.streaming
        assert len(b"".join(response)) == int(response.headers["Content-Length"])

    def test_not_ready_gone_and_none(self, client: Client, account: Account, configure: Callable[..., None]) -> None:
        waiting = create(client).json()["url"]
        assert code(client.get(f"{waiting}/result")) == (404, errors.TASK_RESULT_NOT_READY)
        task = done(account)
        StoredObject.objects.unscoped().all().delete()
        assert code(client.get(f"/6/tasks/{task.task_id}/result")) == (404, errors.TASK_RESULT_NOT_FOUND)
        configure(AdditionalServices, luna_image_store=False)
        light = make_task(Light(), {"until": 1}, account_id=account.pk)
        with installed(Light()):
            run_all()
        assert code(client.get(f"/6/tasks/{light.task_id}/result")) == (404, errors.TASK_RESULT_NOT_FOUND)
