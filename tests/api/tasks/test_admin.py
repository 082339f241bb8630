"""Pages of tasks and schedules: what they show, create and change."""

import json
from typing import Any
from unittest.mock import patch

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Account, AuditRecord
from apps.accounts.roles import Role
from apps.accounts.services import account_update
from apps.tasks.admin.tasks import PANELS
from apps.tasks.choices import ScheduleStatus, TaskStatus
from apps.tasks.models import Schedule, Task, TaskError
from apps.tasks.notifications import policy_seal
from tests.tasks import installed, make_task, run_all
from tests.unit.tasks.types import Numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]
TOKEN = "110201543:" + "A" * 30
CHAT = {"task_callbacks": [{"type": "telegram", "authorization": {"token": TOKEN}, "params": {"chat_id": "-1"}}]}
FORM: dict[str, Any] = {"task_type": 2, "content": '{"objects_type": "faces"}', "description": "night"}


def page(model: Any, name: str, *arguments: Any) -> str:
    return reverse(f"admin:tasks_{model._meta.model_name}_{name}", args=arguments)


def act(site: Client, model: Any, name: str, *rows: Any) -> Any:
    form = {"action": name, "_selected_action": [row.pk for row in rows]}
    return site.post(page(model, "changelist"), form, follow=True)


def test_a_task_is_shown_with_progress_errors_subtasks_and_its_result(site: Client, owner: Account) -> None:
    task = make_task(Numbers(), {"until": 2, "subtasks": 2}, account_id=owner.pk, notification_policy=CHAT)
    listed = site.get(page(Task, "changelist")).content.decode()
    assert f'data-task="{task.pk}"' in listed
    assert "luna/tasks.js" in listed
    with installed(Numbers()):
        run_all()
    shown = site.get(page(Task, "change", task.pk)).content.decode()
    assert "4 of 4" in shown
    assert "data-task" not in shown
    assert TOKEN not in shown
    assert "********" in shown
    assert "<script>" not in shown.replace("<script>\n", "")
    errors = site.get(f"{page(TaskError, 'changelist')}?task__task_id__exact={task.pk}").content.decode()
    assert errors.count("22002") >= 2
    result = site.get(reverse("admin:tasks_result", args=(task.pk,)))
    assert json.loads(b"".join(result) if result.streaming else result.content)["result"] == [0, 1, 100, 101]
    assert AuditRecord.objects.filter(action="view", object_type="task_result").count() == 1
    assert site.get(reverse("admin:tasks_result", args=(0,))).status_code == 404


def test_progress_is_read_by_ids(site: Client, owner: Account) -> None:
    task = make_task(Numbers(), {"until": 2}, account_id=owner.pk)
    url = reverse("admin:tasks_progress")
    Task.objects.unscoped().update(count_task_parts_done=1, count_task_parts_all=2, task_status=TaskStatus.IN_PROGRESS)
    answer = site.get(f"{url}?ids={task.pk},0,x,{'9' * 30}").json()
    assert list(answer) == [str(task.pk)]
    assert 'value="1" max="2"' in answer[str(task.pk)]
    assert site.get(url).json() == {}


def test_pages_of_tasks_are_for_administrators(owner: Account) -> None:
    task = make_task(Numbers(), {"until": 2}, account_id=owner.pk)
    guard = Client()
    account_update(account=owner, roles=[Role.OPERATOR])
    guard.force_login(owner)
    for url in (reverse("admin:tasks_progress"), reverse("admin:tasks_result", args=(task.pk,))):
        assert guard.get(url).status_code == 403


def test_a_task_of_one_account_or_of_all_is_created(site: Client, admin: Account, owner: Account) -> None:
    for account_id in ("", str(owner.pk)):
        answer = site.post(page(Task, "add"), {**FORM, "account_id": account_id, "result_ttl_days": "7"})
        assert answer.status_code == 302, answer.content.decode()
    whole, own = Task.objects.unscoped().order_by("pk")
    assert (whole.account_id, own.account_id) == (None, owner.pk)
    assert (own.task_type, own.content, own.description) == (2, {"objects_type": "faces"}, "night")
    assert (own.result_ttl_days, own.creator_id, own.task_status) == (7, admin.pk, TaskStatus.PENDING)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"content": '{"objects_type": "cats"}'}, "objects_type"),
        ({"content": "{"}, "valid JSON"),
        ({"task_type": 4321}, "valid choice"),
        ({"account_id": "x"}, "no active account"),
        ({"description": "x" * 129}, "128"),
        ({"result_ttl_days": "8"}, "valid choice"),
    ],
)
def test_wrong_forms_are_shown_again(site: Client, change: dict[str, Any], text: str) -> None:
    answer = site.post(page(Task, "add"), {**FORM, **change})
    assert answer.status_code == 200
    assert text in answer.content.decode()
    assert not Task.objects.unscoped().exists()


def test_tasks_are_cancelled_and_deleted(site: Client, owner: Account) -> None:
    tasks = [make_task(Numbers(), {"until": 2}, account_id=owner.pk) for _ in range(2)]
    assert "2 tasks are cancelled" in act(site, Task, "cancel", *tasks).content.decode()
    assert "0 tasks are cancelled" in act(site, Task, "cancel", tasks[0]).content.decode()
    assert {each.task_status for each in Task.objects.unscoped()} == {TaskStatus.CANCELLED}
    assert site.post(page(Task, "delete", tasks[0].pk), {"post": "yes"}).status_code == 302
    assert list(Task.objects.unscoped()) == [tasks[1]]


def test_a_type_may_show_a_picture_of_its_result(site: Client, owner: Account) -> None:
    task = make_task(Numbers(), {"until": 2}, account_id=owner.pk)
    with installed(Numbers()):
        run_all()
    with patch.dict(PANELS, {Numbers.number: lambda task: f"curve of {task.pk}"}):
        assert f"curve of {task.pk}" in site.get(page(Task, "change", task.pk)).content.decode()


def test_schedules_are_created_started_stopped_and_deleted(site: Client, owner: Account) -> None:
    form = {**FORM, "trigger": "0 3 * * *", "trigger_timezone": "LOCAL", "account_id": str(owner.pk)}
    owner.time_zone = "Asia/Tokyo"
    owner.save()
    assert site.post(page(Schedule, "add"), {**form, "start_immediately": "on"}).status_code == 302
    assert "5 fields" in site.post(page(Schedule, "add"), {**form, "trigger": "0 3 * *"}).content.decode()
    schedule = Schedule.objects.unscoped().get()
    assert (schedule.account_id, schedule.time_zone, schedule.status) == (owner.pk, "Asia/Tokyo", 1)
    assert Task.objects.unscoped().get().schedule_id == schedule.pk
    assert "Asia/Tokyo" in site.get(page(Schedule, "changelist")).content.decode()
    assert "0 3 * * *" in site.get(page(Schedule, "change", schedule.pk)).content.decode()
    for name, status in (("stop", ScheduleStatus.STOPPED), ("start", ScheduleStatus.STARTED)):
        act(site, Schedule, name, schedule)
        schedule.refresh_from_db()
        assert (schedule.status, schedule.next_run_at is None) == (status, status == ScheduleStatus.STOPPED)
    Schedule.objects.unscoped().update(notification_policy=policy_seal(CHAT))
    assert TOKEN not in site.get(page(Schedule, "change", schedule.pk)).content.decode()
    assert site.post(page(Schedule, "delete", schedule.pk), {"post": "yes"}).status_code == 302
    assert not Schedule.objects.unscoped().exists()
    assert site.post(page(Schedule, "add"), {**form, "account_id": "", "create_stopped": "on"}).status_code == 302
    stopped = Schedule.objects.unscoped().get()
    assert (stopped.account_id, stopped.status, stopped.time_zone) == (None, 2, "UTC")
