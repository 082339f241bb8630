"""The threads of a worker: they begin, cancel and give back stages."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django.db import connection

from apps.common.config import AdditionalServices
from apps.common.scope import Scope
from apps.tasks.choices import TaskStatus
from apps.tasks.config import Tasks
from apps.tasks.machine import dispatcher as module
from apps.tasks.machine import runner
from apps.tasks.machine.dispatcher import Dispatcher
from apps.tasks.machine.wakeup import CHANNEL
from apps.tasks.models import Subtask, Task
from apps.tasks.services import task_cancel
from apps.tasks.types.base import SubtaskRun
from tests.factories import make_account
from tests.tasks import installed, make_task
from tests.unit.tasks.types import Numbers

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("store_dir")]


class Held:
    """Subtasks that run until they are told to continue."""

    def __init__(self) -> None:
        self.running: set[int] = set()
        self.ended: set[int] = set()
        self.go = threading.Event()

    def __call__(self, run: SubtaskRun, number: int) -> None:
        self.running.add(run.task_id)
        try:
            while not self.go.wait(0.01):
                run.check()
        except BaseException:
            self.ended.add(run.task_id)
            raise


@pytest.fixture
def start(redis_client: "redis.Redis") -> Iterator[Callable[[], Dispatcher]]:
    made: list[Dispatcher] = []

    def make() -> Dispatcher:
        made.append(Dispatcher())
        return made[-1]

    yield make
    for each in made:
        each.close()


def wait_for(condition: Callable[[], object], within_s: float = 20) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def status(task: Task) -> int:
    found: int = Task.objects.unscoped().get(pk=task.pk).task_status
    return found


def test_tasks_are_executed_and_cancelled_at_once(
    start: Callable[[], Dispatcher],
    configure: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    redis_client: "redis.Redis",
) -> None:
    """By wake-ups: the worker does not poll."""
    for name in ("POLL_S", "BEAT_S"):
        monkeypatch.setattr(module, name, 60.0)
    configure(Tasks, subtask_threads=3)
    held, owner, other = Held(), make_account(), make_account()
    with installed(Numbers(at=held)):
        worker = start()
        wait_for(lambda: redis_client.pubsub_numsub(CHANNEL)[0][1])
        tasks = [make_task(Numbers(), {"until": 2}, account_id=owner.pk) for _ in range(3)]
        wait_for(lambda: len(held.running) == 2)
        first, second, third = sorted(tasks, key=lambda task: task.pk not in held.running)
        fourth = make_task(Numbers(), {"until": 2}, account_id=other.pk)
        wait_for(lambda: fourth.pk in held.running)  # the last thread is for another account
        assert third.pk not in held.running
        assert worker.status() == {"threads": 3, "running": 3, "executed": 4}

        task_cancel(scope=Scope(owner.pk), task_id=first.task_id)
        wait_for(lambda: first.pk in held.ended)
        wait_for(lambda: third.pk in held.running)
        held.go.set()
        wait_for(lambda: {status(each) for each in (second, third, fourth)} == {TaskStatus.DONE})
    assert status(first) == TaskStatus.CANCELLED


def test_tasks_wait_while_they_are_off(start: Callable[[], Dispatcher], configure: Callable[..., None]) -> None:
    with installed(Numbers()):
        task = make_task(Numbers(), {"until": 2}, account_id=make_account().pk)
        configure(AdditionalServices, luna_tasks=False)
        worker = start()
        time.sleep(0.2)
        assert worker.status()["executed"] == 0
        configure(AdditionalServices, luna_tasks=True)
        wait_for(lambda: status(task) == TaskStatus.DONE)


def test_a_closed_worker_gives_its_stages_back(
    start: Callable[[], Dispatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    with installed(Numbers(at=held)):
        worker = start()
        task = make_task(Numbers(), {"until": 2}, account_id=make_account().pk)
        wait_for(lambda: task.pk in held.running)
        worker.close()
        row = Subtask.objects.get(task=task)
        assert (row.subtask_status, row.lease_token, row.attempts) == (TaskStatus.PENDING, None, 1)
        held.go.set()
        start()
        wait_for(lambda: status(task) == TaskStatus.DONE)


def test_leases_are_renewed_and_directories_of_dead_workers_removed(
    start: Callable[[], Dispatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_S", 0.1)
    monkeypatch.setattr(module, "BEAT_S", 0.1)
    left = runner.work_directory() / "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e"
    left.mkdir(parents=True)
    held = Held()
    with installed(Numbers(at=held)):
        start()
        task = make_task(Numbers(), {"until": 2}, account_id=make_account().pk)
        wait_for(lambda: task.pk in held.running)
        assert not left.exists()
        first = Subtask.objects.get(task=task).lease_time
        wait_for(lambda: Subtask.objects.get(task=task).lease_time > first)  # type: ignore[operator]
        held.go.set()
        wait_for(lambda: status(task) == TaskStatus.DONE)


def test_a_database_that_is_away_ends_nothing(start: Callable[[], Dispatcher], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.1)
    held = Held()
    with installed(Numbers(at=held)):
        start()
        task = make_task(Numbers(), {"until": 2}, account_id=make_account().pk)
        wait_for(lambda: task.pk in held.running)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        held.go.set()
        make_task(Numbers(), {"until": 1}, account_id=make_account().pk)
        wait_for(lambda: Task.objects.unscoped().filter(task_status=TaskStatus.DONE).exists())
        assert status(task) in (TaskStatus.IN_PROGRESS, TaskStatus.DONE)
