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


GC_FORM: dict[str, Any] = {"target": "events", "before": "now-30d", "store_results": "on", "description": "old"}
FACES = {"objects_type": "faces"}
RUNS: dict[str, Any] = {"trigger": "0 3 * * *", "trigger_timezone": "UTC"}


def created(site: Client, model: Any, kind: str, form: dict[str, Any]) -> Any:
    answer = site.post(f"{page(model, 'add')}?type={kind}", form)
    assert answer.status_code == 302, answer.content.decode()
    return model.objects.unscoped().get()


def test_garbage_collection_is_started_by_a_form(site: Client, owner: Account) -> None:
    shown = site.get(f"{page(Task, 'add')}?type=gc").content.decode()
    assert "Also delete samples" in shown
    assert 'name="content"' not in shown
    form = {**GC_FORM, "account_id": owner.login.upper(), "remove_samples": "on", "result_ttl_days": ""}
    task = created(site, Task, "gc", form)
    filters = {"create_time__lt": "now-30d", "account_id": str(owner.pk)}
    assert task.content == {"target": "events", "filters": filters, "remove_samples": 1, "store_results": 1}
    assert (task.task_type, task.account_id, task.description) == (4, None, "old")


def test_additional_extraction_is_started_by_a_form(site: Client) -> None:
    form = {"objects_type": "faces", "extraction_target": "basic_attributes", "description": "ages"}
    task = created(site, Task, "additional_extract", form)
    assert task.content == {"extraction_target": "basic_attributes", "filters": {"object_type": "faces"}}


@pytest.mark.parametrize(
    ("kind", "form", "text"),
    [
        ("gc", {**GC_FORM, "before": ""}, "At least one filter is required"),
        ("gc", {**GC_FORM, "before": "yesterday"}, "create_time__lt"),
        ("gc", {**GC_FORM, "target": "face_descriptors", "before": ""}, "descriptor_version"),
        ("gc", {**GC_FORM, "account_id": "x"}, "no active account"),
        ("gc", {**GC_FORM, "account_id": "nobody@luna.test"}, "no active account"),
        (
            "additional_extract",
            {"objects_type": "faces", "extraction_target": "body_descriptor"},
            "faces have no bodies",
        ),
        ("additional_extract", {"objects_type": "faces", "extraction_target": "face_descriptor"}, "descriptor_version"),
    ],
)
def test_wrong_fields_are_shown_again(site: Client, kind: str, form: dict[str, Any], text: str) -> None:
    for model, more in ((Task, {}), (Schedule, RUNS)):
        answer = site.post(f"{page(model, 'add')}?type={kind}", {**form, **more})
        assert answer.status_code == 200
        assert text in answer.content.decode()
        assert not model.objects.unscoped().exists()


def test_lists_lead_to_the_forms_and_are_sorted_and_filtered(site: Client, owner: Account) -> None:
    done, waiting = (make_task(Numbers(), {"until": 2}, account_id=owner.pk) for _ in range(2))
    Task.objects.unscoped().filter(pk=done.pk).update(
        task_status=TaskStatus.DONE, end_time="2026-11-01T12:00:00Z", count_task_parts_all=7
    )
    for model in (Task, Schedule):
        for action in ("new_gc", "new_extraction"):
            answer = site.get(page(model, action))
            assert answer.status_code == 302
            assert answer.headers["Location"].startswith(f"{page(model, 'add')}?type=")
    for column in range(1, 10):
        assert site.get(f"{page(Task, 'changelist')}?o={column}").status_code == 200
    query = "?end_time_from_0=2026-11-01&end_time_from_1=00:00:00&end_time_to_0=2026-11-02&end_time_to_1=00:00:00"
    shown = site.get(page(Task, "changelist") + query).content.decode()
    assert page(Task, "change", done.pk) in shown
    assert page(Task, "change", waiting.pk) not in shown
    button = page(Task, "delete_row", done.pk)
    assert button in shown
    assert site.get(button).headers["Location"] == page(Task, "delete", done.pk)


def test_a_task_is_stopped_by_its_button(site: Client, owner: Account) -> None:
    task = make_task(Numbers(), {"until": 2}, account_id=owner.pk)
    stop = reverse("admin:tasks_stop", args=(task.pk,))
    for shown in (page(Task, "changelist"), page(Task, "change", task.pk)):
        assert f'formaction="{stop}"' in site.get(shown).content.decode()
    assert site.get(stop).status_code == 405
    back = site.post(stop, headers={"Referer": f"http://testserver{page(Task, 'change', task.pk)}"})
    assert back.headers["Location"].endswith(page(Task, "change", task.pk))
    assert Task.objects.unscoped().get().task_status == TaskStatus.CANCELLED
    foreign = site.post(stop, headers={"Referer": "http://elsewhere.test/"}, follow=True)
    assert foreign.redirect_chain[0][0] == page(Task, "changelist")
    assert "cancelled" in foreign.content.decode(), "why it is refused"
    assert stop not in site.get(page(Task, "changelist")).content.decode()


def test_buttons_need_the_permission_and_the_token_of_the_form(site: Client, admin: Account, owner: Account) -> None:
    task = make_task(Numbers(), {"until": 2}, account_id=owner.pk)
    schedule = created(site, Schedule, "gc", {**GC_FORM, **RUNS})
    guard, careful = Client(), Client(enforce_csrf_checks=True)
    account_update(account=owner, roles=[Role.OPERATOR])
    guard.force_login(owner)
    careful.force_login(admin)
    for name, row in (("tasks_stop", task), ("tasks_schedule_start", schedule), ("tasks_schedule_pause", schedule)):
        for client in (guard, careful):
            assert client.post(reverse(f"admin:{name}", args=(row.pk,))).status_code == 403
    assert Task.objects.unscoped().get().task_status == TaskStatus.PENDING


def test_a_schedule_is_paused_started_and_edited(site: Client, owner: Account) -> None:
    schedule = created(site, Schedule, "gc", {**GC_FORM, **RUNS})
    assert (schedule.status, schedule.content["filters"]) == (ScheduleStatus.STARTED, {"create_time__lt": "now-30d"})
    shown = page(Schedule, "change", schedule.pk)
    for name, title, status in (
        ("tasks_schedule_pause", "Pause", ScheduleStatus.STOPPED),
        ("tasks_schedule_start", "Start", ScheduleStatus.STARTED),
    ):
        button = reverse(f"admin:{name}", args=(schedule.pk,))
        for each in (page(Schedule, "changelist"), shown):
            assert f'formaction="{button}"' in site.get(each).content.decode(), title
        assert site.post(button).status_code == 302
        schedule.refresh_from_db(from_queryset=Schedule.objects.unscoped())
        assert schedule.status == status
    form = {"task_type": 4, "content": json.dumps({"target": "faces", "filters": {"create_time__lt": "now-1y"}}),
            "description": "older", "result_ttl_days": "7", "trigger": "30 4 * * *",
            "trigger_timezone": "UTC"}  # fmt: skip
    answer = site.post(shown, form)
    assert answer.status_code == 302, answer.content.decode()
    schedule.refresh_from_db(from_queryset=Schedule.objects.unscoped())
    assert (schedule.content["target"], schedule.description, schedule.trigger) == ("faces", "older", "30 4 * * *")
    assert (schedule.account_id, schedule.status) == (None, ScheduleStatus.STARTED)
    assert site.post(shown, {**form, "trigger": "often"}).status_code == 200
    assert AuditRecord.objects.filter(action="update", object_type="schedule").count() == 3


def test_an_edited_schedule_keeps_its_secrets_and_account(site: Client, owner: Account) -> None:
    schedule = created(site, Schedule, "", {**FORM, **RUNS, "account_id": str(owner.pk), "result_ttl_days": ""})
    Schedule.objects.unscoped().update(notification_policy=policy_seal(CHAT))
    sealed = Schedule.objects.unscoped().get().notification_policy
    shown = site.get(page(Schedule, "change", schedule.pk)).content.decode()
    assert TOKEN not in shown
    assert site.post(page(Schedule, "change", schedule.pk), {**FORM, **RUNS, "description": "new"}).status_code == 302
    found = Schedule.objects.unscoped().get()
    assert (found.account_id, found.description) == (owner.pk, "new")
    assert found.notification_policy == sealed
