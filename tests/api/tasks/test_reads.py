"""Filters, counts, subtasks, errors and notification policies of tasks over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pydantic import SecretStr

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.config import AdditionalServices, Services
from apps.common.secrets import MASK
from apps.tasks.choices import TaskKind, TaskStatus
from apps.tasks.models import Subtask, Task, TaskError
from apps.tasks.notifications import policy_seal
from tests.factories import basic_client, client_of, make_account, token_client, token_without
from tests.tasks import installed, make_task, run_all
from tests.unit.tasks.types import Numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]
DAY = datetime(2026, 5, 1, tzinfo=UTC)
TOKEN = "110201543:" + "A" * 30
POLICY: dict[str, Any] = {
    "task_callbacks": [
        {"type": "http", "url": "http://a/b", "authorization": {"type": "basic", "login": "u", "password": "p4ss"}},
        {"type": "telegram", "authorization": {"token": TOKEN}, "params": {"chat_id": "-1"}},
    ]
}


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


def row(account: Account | None, **values: Any) -> Task:
    task: Task = Task.objects.create(
        **{
            "account_id": None if account is None else account.pk,
            "task_type": TaskKind.GC,
            "create_time": DAY,
            "last_update_time": DAY,
            **values,
        }
    )
    return task


def error(task: Task, code: int = 22002, **values: Any) -> TaskError:
    return TaskError.objects.create(
        **{"task": task, "error_code": code, "description": "d", "detail": "x", "error_time": DAY, **values}
    )


def code(response: Any) -> tuple[int, int]:
    return response.status_code, response.json()["error_code"]


def ids(client: Client, path: str = "/6/tasks", **query: Any) -> list[int]:
    response = client.get(path, query)
    assert response.status_code == 200, response.content
    ((name, rows),) = response.json().items()
    return [each[{"tasks": "task_id", "errors": "error_id", "subtasks": "subtask_id"}[name]] for each in rows]


class TestFilters:
    def test_each_filter(self, client: Client, account: Account) -> None:
        first = row(account, description="night").pk
        second = row(
            account,
            task_type=TaskKind.ROC,
            task_status=TaskStatus.DONE,
            create_time=DAY + timedelta(days=1),
            end_time=DAY + timedelta(days=2),
            last_update_time=DAY + timedelta(days=2),
            schedule_id=7,
        ).pk
        assert ids(client) == [second, first]
        for query, expected in (
            ({"task_type": 4}, [first]),
            ({"task_type": "roc"}, [second]),
            ({"task_type": "gc,7"}, [second, first]),
            ({"task_type": "exporter"}, []),
            ({"task_status": 5}, [second]),
            ({"task_status": "pending"}, [first]),
            ({"task_status": "0,DONE"}, [second, first]),
            ({"task_ids": f"{first},0"}, [first]),
            ({"schedule_id": 7}, [second]),
            ({"description": "night"}, [first]),
            ({"create_time__gte": "2026-05-01T12:00:00Z"}, [second]),
            ({"create_time__lt": "2026-05-01T12:00:00Z"}, [first]),
            ({"end_time__gte": "2026-05-01T12:00:00Z"}, [second]),
            ({"end_time__lt": "2026-05-01T12:00:00Z"}, []),
            ({"last_update_time__lt": "2026-05-01T12:00:00Z"}, [first]),
            ({"create_time__gte": "now-1d", "task_type": "gc"}, []),
            ({"page": 2, "page_size": 1}, [first]),
            ({"page": 3, "page_size": 1}, []),
        ):
            assert ids(client, **query) == expected, query
            if "page" not in query:
                assert client.get("/6/tasks/count", query).json() == {"tasks_count": len(expected)}

    @pytest.mark.parametrize(
        "query",
        [
            {"task_type": "cat"},
            {"task_status": -1},
            {"task_status": ""},
            {"create_time__gte": "yesterday"},
            {"schedule_id": "x"},
            {"task_ids": 2**63},
            {"page": 0},
            {"page_size": 10**6},
            {"description": "a\x00"},
        ],
    )
    def test_wrong_filters(self, client: Client, query: dict[str, Any]) -> None:
        assert code(client.get("/6/tasks", query)) == (400, 12012)

    def test_lists_need_a_constant_number_of_queries(self, client: Client, account: Account) -> None:
        def queries(path: str) -> int:
            with CaptureQueriesContext(
                connection,
            ) as captured:
                assert client.get(path).status_code == 200
            return len(captured)

        task = row(account, notification_policy=policy_seal(POLICY))
        paths = ("/6/tasks", "/6/tasks/errors", f"/6/tasks/{task.pk}/errors", f"/6/tasks/{task.pk}/subtasks")
        for path in paths:
            client.get(path)
        before = {path: queries(path) for path in paths}
        for _ in range(5):
            row(account, notification_policy=policy_seal(POLICY))
            part = Subtask.objects.create(task=task, create_time=DAY)
            error(task, subtask=part)
        assert {path: queries(path) for path in paths} == before


class TestScopes:
    def test_tasks_of_others_are_neither_seen_nor_changed(self, client: Client, stranger: Client) -> None:
        theirs = row(make_account(), notification_policy=policy_seal(POLICY))
        operators = row(None)
        for task in (theirs, operators):
            fault, part = error(task), Subtask.objects.create(task=task, create_time=DAY)
            base = f"/6/tasks/{task.pk}"
            for path in (base, f"{base}/errors", f"{base}/subtasks", f"{base}/subtasks/{part.pk}/result",
                         f"{base}/notification_policy", f"{base}/result"):  # fmt: skip
                assert code(client.get(path)) == (404, 28001), path
            assert code(client.put(f"{base}/notification_policy", POLICY, "application/json")) == (404, 28001)
            assert code(client.get(f"/6/tasks/errors/{fault.pk}")) == (404, 28003)
            assert code(client.delete(f"/6/tasks/errors/{fault.pk}")) == (404, 28003)
        assert ids(client) == ids(client, "/6/tasks/errors") == []
        assert client.get("/6/tasks/count").json() == {"tasks_count": 0}
        assert client.get("/6/tasks/errors/count").json() == {"task_error_count": 0}
        assert TaskError.objects.count() == 2

    def test_administrators_see_all_and_change_their_own(self, admin: Account, account: Account) -> None:
        client = basic_client(admin)
        theirs, operators = row(account), row(None)
        assert ids(client) == [operators.pk, theirs.pk]
        assert ids(client, account_id=str(account.pk)) == [theirs.pk]
        assert client.get(f"/6/tasks/{operators.pk}").json()["account_id"] is None
        assert code(client.patch(f"/6/tasks/{theirs.pk}")) == (404, 28001)

    def test_a_user_may_name_its_own_account_only(self, client: Client, account: Account) -> None:
        mine = row(account).pk
        assert ids(client, account_id=str(account.pk)) == [mine]
        assert code(client.get("/6/tasks", {"account_id": str(uuid4())})) == (403, 11063)
        assert client.get("/6/tasks", {"account_id": "x"}).status_code == 400

    def test_rights_of_tokens(self, account: Account) -> None:
        task = row(account)
        fault = error(task)
        requests: list[tuple[str, str, str]] = [
            *(("view", "get", path) for path in (
                "", "/count", "/errors", "/errors/count", f"/errors/{fault.pk}", f"/{task.pk}", f"/{task.pk}/errors",
                f"/{task.pk}/subtasks", f"/{task.pk}/notification_policy", f"/{task.pk}/result", "/schedules",
                "/schedules/1",
            )),
            ("modification", "patch", f"/{task.pk}"),
            ("modification", "put", f"/{task.pk}/notification_policy"),
            ("modification", "put", "/schedules/1"),
            ("modification", "patch", "/schedules/1"),
            ("creation", "post", "/schedules"),
            ("deletion", "delete", f"/{task.pk}"),
            ("deletion", "delete", f"/errors/{fault.pk}"),
            ("deletion", "delete", "/schedules/1"),
        ]  # fmt: skip
        clients = {right: token_without(account, "task", right) for right in ("view", "modification", "creation", "deletion")}  # fmt: skip # noqa: E501
        for right, method, path in requests:
            response = getattr(clients[right], method)(f"/6/tasks{path}")
            assert code(response) == (403, 11059), (method, path)
        viewer = token_client(account, task=["view"])
        assert viewer.get(f"/6/tasks/{task.pk}").status_code == 200

    @pytest.mark.parametrize("kind", [AccountType.USER, AccountType.ADMIN])
    def test_all_requests_are_refused_while_tasks_are_off(self, kind: str, configure: Callable[..., None]) -> None:
        account = make_account(kind)
        client, task = client_of(account), row(account)
        configure(AdditionalServices, luna_tasks=False)
        for method, path in (("get", ""), ("get", "/count"), ("post", "/gc"), ("get", f"/{task.pk}"),
                             ("delete", f"/{task.pk}"), ("get", "/errors"), ("get", "/schedules")):  # fmt: skip
            if path != "/gc":
                assert code(getattr(client, method)(f"/6/tasks{path}")) == (403, 11039)
        assert client.get("/6/features").json()["components"]["tasks"] is False


class TestParts:
    def test_subtasks_and_their_results(self, client: Client, account: Account) -> None:
        task = make_task(Numbers(), {"until": 2, "subtasks": 2}, account_id=account.pk)
        with installed(Numbers()):
            run_all()
        base = f"/6/tasks/{task.pk}/subtasks"
        found = client.get(base).json()["subtasks"]
        assert [each["subtask_status"] for each in found] == [5, 5]
        assert [each["content"] for each in found] == [{"first": 0}, {"first": 100}]
        assert set(found[0]) == {
            "subtask_id", "task_id", "result_id", "create_time", "end_time", "subtask_status", "content"
        }  # fmt: skip
        results = [client.get(f"{base}/{each['subtask_id']}/result") for each in found]
        for each, result in zip(found, results, strict=True):
            if each["result_id"] is None:
                assert code(result) == (404, 28017)
            else:
                assert result.status_code == 200
        assert ids(client, base, page=2, page_size=1) == [found[1]["subtask_id"]]
        for wrong in ("0", "x", str(found[1]["subtask_id"] + 1), "9" * 30):
            assert code(client.get(f"{base}/{wrong}/result")) == (404, 28001)
        other = make_task(Numbers(), {"until": 2}, account_id=account.pk)
        path = f"/6/tasks/{other.pk}/subtasks/{found[0]['subtask_id']}/result"
        assert code(client.get(path)) == (404, 28001)

    def test_results_of_unfinished_and_failed_subtasks(self, client: Client, account: Account) -> None:
        task = row(account)
        for status, expected in ((0, 28018), (1, 28018), (2, 28020), (3, 28020), (5, 28017)):
            part = Subtask.objects.create(task=task, create_time=DAY, subtask_status=status)
            assert code(client.get(f"/6/tasks/{task.pk}/subtasks/{part.pk}/result")) == (404, expected)

    def test_errors(self, client: Client, account: Account) -> None:
        task, other = row(account), row(account)
        part = Subtask.objects.create(task=task, create_time=DAY)
        first = error(task, 22002, subtask=part, additional_info="face")
        second = error(task, 28005, error_time=DAY + timedelta(days=1))
        third = error(other)
        assert ids(client, "/6/tasks/errors") == [third.pk, second.pk, first.pk]
        assert ids(client, f"/6/tasks/{task.pk}/errors") == [second.pk, first.pk]
        for query, expected in (
            ({"task_id": task.pk}, [second, first]),
            ({"task_id": f"{other.pk}"}, [third]),
            ({"subtask_id": part.pk}, [first]),
            ({"error_code": 28005}, [second]),
            ({"error_code": "28005,22002"}, [third, second, first]),
            ({"error_ids": third.pk}, [third]),
            ({"error_time__gte": "2026-05-01T12:00:00Z"}, [second]),
            ({"error_time__lt": "2026-05-01T12:00:00Z"}, [third, first]),
        ):
            assert ids(client, "/6/tasks/errors", **query) == [each.pk for each in expected], query
            assert client.get("/6/tasks/errors/count", query).json() == {"task_error_count": len(expected)}
        assert client.get(f"/6/tasks/errors/{first.pk}").json() == {
            "error_id": first.pk,
            "task_id": task.pk,
            "subtask_id": part.pk,
            "error_code": 22002,
            "description": "d",
            "detail": "x",
            "additional_info": "face",
            "error_time": "2026-05-01T00:00:00.000000Z",
        }
        assert client.delete(f"/6/tasks/errors/{first.pk}").status_code == 204
        for wrong in (str(first.pk), "0", "x", "9" * 30):
            assert code(client.get(f"/6/tasks/errors/{wrong}")) == (404, 28003)
            assert code(client.delete(f"/6/tasks/errors/{wrong}")) == (404, 28003)
        assert client.delete(f"/6/tasks/{task.pk}").status_code == 204
        assert ids(client, "/6/tasks/errors") == [third.pk]


class TestPolicy:
    def test_read_and_replace(self, client: Client, account: Account) -> None:
        task = row(account, notification_policy=policy_seal(POLICY))
        path = f"/6/tasks/{task.pk}/notification_policy"
        shown = client.get(path).json()
        assert TOKEN not in str(shown)
        assert shown["notification_policy"]["task_callbacks"][1]["authorization"] == {"token": MASK}
        assert client.get(f"/6/tasks/{task.pk}").json()["notification_policy"] == shown["notification_policy"]
        assert client.get("/6/tasks").json()["tasks"][0]["notification_policy"] == shown["notification_policy"]
        for body in (shown, shown["notification_policy"]):
            assert client.put(path, body, "application/json").status_code == 204
            stored = Task.objects.unscoped().get().notification_policy
            assert stored == task.notification_policy
        moved = {"task_callbacks": [{**shown["notification_policy"]["task_callbacks"][0], "url": "http://evil/"}]}
        wrongs: tuple[Any, ...] = (
            moved,
            {"x": 1},
            [],
            {"task_callbacks": 5},
            {"notification_policy": {"task_callbacks": [1]}},
        )
        for wrong in wrongs:
            assert code(client.put(path, wrong, "application/json")) == (400, 12027), wrong
        assert client.put(path, {"notification_policy": None}, "application/json").status_code == 204
        assert client.get(path).json() == {"notification_policy": None}

    def test_secrets_of_another_key(self, client: Client, account: Account, configure: Callable[..., None]) -> None:
        task = row(account, notification_policy=policy_seal(POLICY))
        path = f"/6/tasks/{task.pk}/notification_policy"
        shown = client.get(path).json()
        configure(Services, fernet_passphrase=SecretStr("a"), secret_key=SecretStr("k" * 50))
        client = client_of(account)
        assert code(client.get(path)) == (400, 28041)
        assert code(client.put(path, shown, "application/json")) == (400, 28041)
        assert client.get(f"/6/tasks/{task.pk}").status_code == 200
        assert client.put(path, POLICY, "application/json").status_code == 204
        assert client.get(path).status_code == 200
