"""Runs of schedules in a simulated clock: none lost, none doubled, over changes of the clock and killed processes."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from apps.accounts.auth.principal import Actor
from apps.accounts.erasure import account_erase
from apps.accounts.models import Account
from apps.accounts.services import account_close
from apps.common.config import Services
from apps.common.errors import LunaError
from apps.common.rotation import secrets_rotate
from apps.common.scope import Scope
from apps.sender.models import Callback
from apps.tasks.choices import CronZone, ScheduleStatus, TaskStatus
from apps.tasks.config import Schedules
from apps.tasks.jobs import schedules as job
from apps.tasks.models import Schedule, Task, TaskError
from apps.tasks.schedules import cron, runs, services
from apps.tasks.schedules.runs import schedules_fire
from apps.tasks.schedules.services import (
    ScheduleDraft,
    schedule_create,
    schedule_delete,
    schedule_replace,
    schedule_start,
    schedule_stop,
)
from apps.tasks.types.base import TaskType
from tests.factories import make_account
from tests.unit.tasks.types import Numbers

pytestmark = pytest.mark.django_db
KIND = Numbers()
START = datetime(2026, 5, 1, 12, 0, 30, tzinfo=UTC)
HOOK = {"task_callbacks": [{"type": "http", "url": "http://a/b", "authorization": {"login": "u", "password": "p"}}]}


class Clock:
    """The time that schedules and tasks see."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def pass_(self, **values: float) -> datetime:
        self.now += timedelta(**values)
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock(START)
    places = ("apps.tasks.schedules.runs", "apps.tasks.schedules.services", "apps.tasks.services")
    patches: list[Any] = [patch(f"{place}.utc_now", lambda: clock.now) for place in places]
    patches += [patch("apps.tasks.schedules.runs.task_types", lambda: {KIND.number: KIND})]
    for each in patches:
        each.start()
    yield clock
    for each in patches:
        each.stop()


@pytest.fixture
def account() -> Account:
    return make_account()


def made(account: Account | None, trigger: str = "*/10 * * * *", **values: Any) -> Schedule:
    draft = ScheduleDraft(**{"task_type": KIND, "content": {"until": 3}, "trigger": trigger, **values})
    account_id = None if account is None else account.pk
    return schedule_create(account_id=account_id, draft=draft, actor=Actor(account_id))


def times(schedule: Schedule) -> list[datetime]:
    tasks = Task.objects.unscoped().filter(schedule_id=schedule.schedule_id).order_by("task_id")
    return [each.create_time for each in tasks]


@pytest.mark.parametrize(
    ("zone", "day"), [("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC)),
                      ("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC))]
)  # fmt: skip
def test_a_day_over_a_change_of_the_clock(zone: str, day: datetime, account: Account, clock: Clock) -> None:
    clock.now = day
    triggers = {
        "0 3 * * *": 1,
        "30 2 * * *": 1,  # in the gap, and in the doubled hour
        "0 * * * *": 24,
        "*/30 * * * *": 48,
        "15 1-3 * * 0": 3,
        "0 9 28,29,24,25 * 1": 0,  # the day is a Sunday
    }
    made_of = {trigger: made(account, trigger, trigger_timezone=CronZone.LOCAL, time_zone=zone) for trigger in triggers}
    due: dict[str, list[datetime]] = {trigger: [] for trigger in triggers}
    for trigger, schedule in made_of.items():
        moment: datetime | None = schedule.next_run_at
        while moment is not None and moment <= day + timedelta(hours=24):
            due[trigger].append(moment)
            moment = cron.next_run(trigger, ZoneInfo(zone), moment)
    ticks = random.Random(5)
    fired = 0
    while clock.now < day + timedelta(hours=24):
        fired += schedules_fire(clock.pass_(seconds=ticks.choice((5, 300, 300, 299))))
    for trigger, expected in triggers.items():
        found = times(made_of[trigger])
        assert len(due[trigger]) == expected, trigger
        assert len(found) == expected, trigger
        late = [run - planned for run, planned in zip(found, due[trigger], strict=True)]
        assert all(timedelta(0) <= each <= timedelta(minutes=5) for each in late)
    assert fired == sum(triggers.values())


def test_tasks_have_the_values_of_their_schedule(account: Account, clock: Clock) -> None:
    schedule = made(account, description="night", result_ttl_days=7, notification_policy=HOOK)
    assert schedule.next_run_at == datetime(2026, 5, 1, 12, 10, tzinfo=UTC)
    assert schedules_fire(clock.pass_(minutes=9)) == 0
    assert schedules_fire(clock.pass_(minutes=1)) == 1
    task = Task.objects.unscoped().get()
    assert (task.account_id, task.task_type, task.content) == (account.pk, KIND.number, {"until": 3})
    assert (task.description, task.result_ttl_days, task.schedule_id) == ("night", 7, schedule.schedule_id)
    assert task.create_time == clock.now  # relative times count from it
    assert (task.creator_id, task.task_status) == (account.pk, TaskStatus.PENDING)
    assert task.notification_policy == schedule.notification_policy
    assert "'p'" not in str(task.notification_policy)


class Dies(BaseException):
    """The process is killed."""


@pytest.mark.parametrize("place", ["content_open", "task_create", "next_run"])
def test_a_process_that_is_killed_neither_loses_nor_doubles_a_run(place: str, account: Account, clock: Clock) -> None:
    schedule = made(account)
    clock.pass_(minutes=10)
    original = getattr(runs, place)

    def killed(*args: Any, **kwargs: Any) -> Any:
        original(*args, **kwargs)
        raise Dies

    with patch.object(runs, place, killed), pytest.raises(Dies):
        schedules_fire(clock.now)
    assert times(schedule) == []
    assert schedules_fire(clock.now) == 1
    assert schedules_fire(clock.now) == 0
    assert len(times(schedule)) == 1


@pytest.mark.parametrize(("policy", "expected"), [("once", 1), ("skip", 0)])
def test_runs_that_were_missed(
    policy: str, expected: int, account: Account, clock: Clock, configure: Callable[..., None]
) -> None:
    configure(Schedules, missed_runs=policy)
    schedule = made(account)
    assert schedules_fire(clock.pass_(hours=30)) == expected
    schedule.refresh_from_db()
    assert schedule.next_run_at == datetime(2026, 5, 2, 18, 10, tzinfo=UTC)
    assert schedules_fire(clock.pass_(minutes=10)) == 1
    assert len(times(schedule)) == expected + 1


def test_start_stop_and_immediate_starts(account: Account, clock: Clock) -> None:
    scope = Scope(account.pk)
    stopped = made(account, stopped=True, start_immediately=True)
    assert (stopped.status, stopped.next_run_at, times(stopped)) == (ScheduleStatus.STOPPED, None, [])
    started = made(account, start_immediately=True)
    assert times(started) == [START]
    assert schedules_fire(clock.pass_(minutes=25)) == 1
    schedule_start(scope=scope, schedule_id=stopped.pk, actor=Actor())
    schedule_stop(scope=scope, schedule_id=started.pk, actor=Actor())
    stopped.refresh_from_db()
    started.refresh_from_db()
    assert (stopped.status, stopped.next_run_at) == (1, datetime(2026, 5, 1, 12, 30, tzinfo=UTC))
    assert (started.status, started.next_run_at) == (2, None)
    assert schedules_fire(clock.pass_(minutes=5)) == 1
    schedule_delete(scope=scope, schedule_id=stopped.pk, actor=Actor())
    assert schedules_fire(clock.pass_(hours=1)) == 0
    assert len(times(stopped)) == 1  # its tasks remain


def test_a_replacement_keeps_secrets_and_status_and_leaves_tasks(account: Account, clock: Clock) -> None:
    schedule = made(account, notification_policy=HOOK, stopped=True, result_ttl_days=1, start_immediately=True)
    masked = {"task_callbacks": [{**HOOK["task_callbacks"][0], "authorization": dict.fromkeys(("login", "password"), "********")}]}  # fmt: skip # noqa: E501
    draft = ScheduleDraft(task_type=KIND, content={"until": 4}, trigger="0 0 1 * *", notification_policy=masked)
    kept: Any = schedule.notification_policy
    replaced = schedule_replace(scope=Scope(account.pk), schedule_id=schedule.pk, draft=draft, actor=Actor())
    assert (replaced.status, replaced.content, replaced.result_ttl_days) == (2, {"until": 4}, None)
    assert replaced.notification_policy == kept
    again = ScheduleDraft(task_type=KIND, content={"until": 4}, trigger="0 0 1 * *", stopped=False)
    replaced = schedule_replace(scope=Scope(account.pk), schedule_id=schedule.pk, draft=again, actor=Actor())
    assert (replaced.status, replaced.next_run_at) == (1, datetime(2026, 6, 1, tzinfo=UTC))
    with pytest.raises(LunaError) as error:
        schedule_replace(scope=Scope(make_account().pk), schedule_id=schedule.pk, draft=again, actor=Actor())
    assert error.value.code == 28040


def test_a_run_that_cannot_create_its_task_is_a_failed_task(
    account: Account, clock: Clock, configure: Callable[..., None]
) -> None:
    refused, broken, fine = (made(account, notification_policy=HOOK) for _ in range(3))
    Schedule.objects.unscoped().filter(pk=refused.pk).update(content={"until": 0})
    Schedule.objects.unscoped().filter(pk=broken.pk).update(task_type=4321)
    assert schedules_fire(clock.pass_(minutes=10)) == 3
    statuses = dict(Task.objects.unscoped().values_list("schedule_id", "task_status"))
    assert statuses == {refused.pk: TaskStatus.FAILED, broken.pk: TaskStatus.FAILED, fine.pk: TaskStatus.PENDING}
    assert {each.error_code for each in TaskError.objects.all()} == {12027}
    assert Callback.objects.unscoped().count() == 2
    configure(Services, secret_key=SecretStr("k" * 50))
    with patch.object(Numbers, "secrets", (("token",),)), patch.object(runs, "content_open", side_effect=OSError):
        assert schedules_fire(clock.pass_(minutes=10)) == 3
    assert TaskError.objects.order_by("-pk")[0].error_code == 11042


def test_types_and_contents_are_checked(account: Account, clock: Clock) -> None:
    for values, code in (
        ({"content": {"until": 0}}, 12027),
        ({"content": []}, 12027),
        ({"result_ttl_days": 8}, 12012),
        ({"notification_policy": {"x": 1}}, 12027),
    ):
        with pytest.raises(LunaError) as error:
            made(account, **values)
        assert error.value.code == code, values
    with patch.object(Numbers, "schedulable", False), pytest.raises(LunaError, match="no schedules"):
        made(account)
    with patch.object(TaskType, "check") as check:
        made(account)
    assert check.call_args.kwargs == {"scope": Scope(account.pk), "scheduled": True}
    assert not Task.objects.unscoped().exists()


def test_suspended_and_erased_accounts(account: Account, clock: Clock) -> None:
    schedule, operators = made(account), made(None)
    Account.objects.filter(pk=account.pk).update(is_active=False)
    assert schedules_fire(clock.pass_(minutes=10)) == 1
    assert times(schedule) == []
    assert Task.objects.unscoped().get().account_id is None
    Account.objects.filter(pk=account.pk).update(is_active=True)
    assert schedules_fire(clock.pass_(hours=1)) == 2
    account_close(account=Account.objects.get(pk=account.pk))
    assert schedules_fire(clock.pass_(hours=1)) == 1
    account_erase(account_id=account.pk)
    assert list(Schedule.objects.unscoped()) == [operators]


def test_secrets_of_schedules_take_part_in_the_rotation(account: Account, configure: Callable[..., None]) -> None:
    with patch.object(Numbers, "secrets", (("until",),)), patch.object(services, "content_check"):
        made(account, content={"until": "p4ss"}, notification_policy=HOOK)
    configure(Services, fernet_passphrase=SecretStr("new"))
    found = [each for each in secrets_rotate() if each.row.startswith("tasks.Schedule")]
    assert [each.secrets for each in found] == [1, 2]


def test_the_job_rests_while_tasks_are_off(configure: Callable[..., None]) -> None:
    from apps.common.config import AdditionalServices

    with patch("apps.tasks.jobs.schedules_fire") as fire:
        job()
        configure(AdditionalServices, luna_tasks=False)
        job()
    fire.assert_called_once_with()
