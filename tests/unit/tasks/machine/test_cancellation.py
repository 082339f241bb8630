"""Cancellation and deletion of tasks, and what workers leave of them."""

from datetime import timedelta

import orjson
import pytest

from apps.accounts.auth.principal import Actor
from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.imagestore.models import StoredObject
from apps.sender.models import Callback
from apps.tasks import jobs
from apps.tasks.choices import TaskStatus
from apps.tasks.machine import ends
from apps.tasks.machine.dispatcher import heartbeat
from apps.tasks.models import Subtask, Task, TaskError
from apps.tasks.services import task_cancel, task_delete
from apps.tasks.types.base import StageCancelled, SubtaskRun
from tests.tasks import installed, make_task, run_all, run_next
from tests.unit.tasks.machine.rows import Died, fresh, stored_results
from tests.unit.tasks.types import Numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]


class TestCancellation:
    def test_before_the_split(self, owner: Account) -> None:
        task = make_task(Numbers(), {"until": 2}, account_id=owner.pk)
        task_cancel(scope=Scope(owner.pk), task_id=task.task_id)
        with installed(Numbers()):
            assert run_all() == 0
        assert fresh(task).task_status == TaskStatus.CANCELLED
        assert TaskError.objects.get().error_code == errors.TASK_CANCELLED
        with pytest.raises(LunaError) as caught:
            task_cancel(scope=Scope(owner.pk), task_id=task.task_id)
        assert caught.value.code == errors.TASK_NOT_CANCELLABLE

    def test_within_a_subtask(self, owner: Account) -> None:
        stopped: list[int] = []

        def cancel(run: SubtaskRun, number: int) -> None:
            stopped.append(number)
            if number == 1:
                task_cancel(scope=Scope(owner.pk), task_id=run.task_id)
                heartbeat([run.lease])  # type: ignore[attr-defined]
                with pytest.raises(StageCancelled):
                    run.check()

        task = make_task(Numbers(at=cancel), {"until": 5, "subtasks": 2}, account_id=owner.pk)
        with installed(Numbers(at=cancel)):
            run_all()
        assert stopped == [0, 1]
        assert fresh(task).task_status == TaskStatus.CANCELLED
        assert {*Subtask.objects.values_list("subtask_status", flat=True)} == {TaskStatus.CANCELLED}
        assert stored_results() == 0

    def test_deletion_of_a_running_task(self, owner: Account) -> None:
        def delete(run: SubtaskRun, number: int) -> None:
            if number == 1:
                task_delete(scope=Scope(owner.pk), task_id=run.task_id, actor=run.actor)

        task = make_task(Numbers(at=delete), {"until": 5, "subtasks": 2}, account_id=owner.pk)
        with installed(Numbers(at=delete)):
            run_all()
        assert not Task.objects.unscoped().exists()
        with pytest.raises(LunaError) as caught:
            task_delete(scope=Scope(owner.pk), task_id=task.task_id, actor=Actor())
        assert caught.value.code == errors.TASK_NOT_FOUND

    def test_deletion_removes_results(self, owner: Account) -> None:
        task = make_task(Numbers(), {"until": 2, "subtasks": 2}, account_id=owner.pk)
        with installed(Numbers()):
            run_all()
        assert stored_results() == 3
        task_delete(scope=Scope(owner.pk), task_id=task.task_id, actor=Actor())
        assert stored_results() == 0
        assert not TaskError.objects.exists()

    @pytest.mark.parametrize("found_by", ["its worker", "the sweep"])
    def test_a_subtask_that_was_locked_at_the_cancellation(self, owner: Account, found_by: str) -> None:
        """It is cancelled, and reported, by its worker; if the worker died, by another one."""

        def cancelled(run: SubtaskRun, number: int) -> None:
            Task.objects.unscoped().update(task_status=TaskStatus.CANCELLED)
            if found_by == "the sweep":
                raise Died

        hook = {"type": "http", "url": "http://a/b"}
        policy = {"subtask_callbacks": [hook]}
        make_task(Numbers(at=cancelled), {"until": 2}, account_id=owner.pk, notification_policy=policy)
        with installed(Numbers(at=cancelled)):
            run_next()
            if found_by == "its worker":
                run_next()
            else:
                with pytest.raises(Died):
                    run_next()
                for _ in range(2):
                    ends.subtasks_sweep()
        reported = [orjson.loads(each.payload) for each in Callback.objects.unscoped().order_by("pk")]
        assert [each["subtask_status"] for each in reported] == [TaskStatus.IN_PROGRESS, TaskStatus.CANCELLED]
        assert reported[1]["end_time"] is not None
        assert Subtask.objects.get().subtask_status == TaskStatus.CANCELLED

    def test_the_result_of_a_killed_worker_whose_task_is_cancelled(
        self, owner: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def die(*arguments: object) -> None:
            raise Died

        tasks = [make_task(Numbers(), {"until": 2}, account_id=owner.pk) for _ in range(2)]
        monkeypatch.setattr("apps.tasks.machine.ends.process_end", die)
        with installed(Numbers()):
            run_next()
            run_next()
            for _ in tasks:
                with pytest.raises(Died):
                    run_next()
        task_cancel(scope=Scope(owner.pk), task_id=tasks[0].task_id)
        jobs.results()
        assert stored_results() == 2  # the end of a young one may be on its way
        StoredObject.objects.unscoped().update(create_time=utc_now() - timedelta(minutes=11))
        jobs.results()
        (left,) = StoredObject.objects.unscoped().filter(bucket="task-result")
        assert left.meta["task_id"] == tasks[1].task_id  # the next holder of the lease removes it
