"""Leases and their renewal, and the order of claims between accounts."""

from typing import Any

import pytest

from apps.accounts.models import Account
from apps.common.times import utc_now
from apps.sender.models import Callback
from apps.tasks.choices import TaskStatus
from apps.tasks.machine import runner
from apps.tasks.machine.dispatcher import heartbeat
from apps.tasks.machine.queue import Stage
from apps.tasks.machine.runs import Lease
from apps.tasks.models import Subtask, Task
from apps.tasks.types.base import LeaseLost, SubtaskRun
from tests.factories import make_account
from tests.tasks import installed, make_task, next_unit, run_all, run_next
from tests.unit.tasks.machine.rows import expire_leases, fresh
from tests.unit.tasks.types import Numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]


def test_an_invalid_policy_of_an_older_release_stops_no_task(owner: Account) -> None:
    policy = {kind: [{"type": "http", "url": "gopher://a"}] for kind in ("task_callbacks", "subtask_callbacks")}
    tasks = [make_task(Numbers(), {"until": 1}, account_id=owner.pk) for _ in range(2)]
    Task.objects.unscoped().filter(task_id=tasks[0].task_id).update(notification_policy=policy)
    with installed(Numbers()):
        run_all()
    assert [fresh(each).task_status for each in tasks] == [TaskStatus.DONE] * 2
    assert not Callback.objects.unscoped().exists()


class TestHeartbeat:
    def test_progress_and_leases(self, owner: Account) -> None:
        task = make_task(Numbers(), {"until": 5, "subtasks": 2}, account_id=owner.pk)

        def beat(run: SubtaskRun, number: int) -> None:
            if number == 0:
                expire_leases()
                run.progress(3, 7)
                heartbeat([run.lease])  # type: ignore[attr-defined]
                assert Subtask.objects.filter(subtask_id=run.subtask_id, lease_time__gt=utc_now()).exists()
                found = fresh(task)
                assert (found.count_task_parts_done, found.count_task_parts_all) == (3, 12)

        with installed(Numbers(at=beat)):
            run_next()
            run_next()

    def test_a_lease_that_was_not_renewed_ends(self, owner: Account) -> None:
        make_task(Numbers(), {"until": 5}, account_id=owner.pk)
        lease = Lease(next_unit())
        lease.lapse()
        assert lease.ended is None
        lease.until = 0.0
        lease.lapse()
        assert lease.ended is LeaseLost


class TestFairness:
    def test_the_account_with_fewer_running_subtasks_is_next(self) -> None:
        first, second = make_account(), make_account()
        make_task(Numbers(), {"until": 1, "subtasks": 4}, account_id=first.pk)
        make_task(Numbers(), {"until": 1, "subtasks": 4}, account_id=second.pk)
        with installed(Numbers()):
            assert [run_next().stage for _ in range(2)] == [Stage.SPLIT, Stage.SPLIT]
        assert [next_unit().account_id for _ in range(4)] == [first.pk, second.pk, first.pk, second.pk]

    def test_many_tasks_of_one_account_do_not_delay_the_stages_of_another(self) -> None:
        many, other = make_account(), make_account()
        make_task(Numbers(), {"until": 1}, account_id=other.pk)
        with installed(Numbers()):
            run_next()
        for _ in range(4):
            make_task(Numbers(), {"until": 1}, account_id=many.pk)
        first = runner.claim(served=[other.pk])  # no account has a running stage: turn by turn
        second = runner.claim(served=[other.pk])
        assert first is not None
        assert second is not None
        assert (first.stage, first.account_id) == (Stage.SPLIT, many.pk)
        assert (second.stage, second.account_id) == (Stage.PROCESS, other.pk)

    def test_accounts_take_turns_in_a_worker_of_one_thread(self) -> None:
        many, other = make_account(), make_account()
        for owner, number in ((other, 1), (many, 3)):
            for _ in range(number):
                make_task(Numbers(), {"until": 1}, account_id=owner.pk)
        served: list[Any] = []
        with installed(Numbers()):
            for _ in range(5):
                unit = runner.claim(served=served)
                assert unit is not None
                served = [*(each for each in served if each != unit.account_id), unit.account_id]
                runner.execute(Lease(unit))
        ended = Task.objects.unscoped().filter(task_status=TaskStatus.DONE)
        assert [task.account_id for task in ended] == [other.pk]

    def test_the_last_thread_is_for_others(self) -> None:
        first, second = make_account(), make_account()
        make_task(Numbers(), {"until": 1, "subtasks": 2}, account_id=first.pk)
        with installed(Numbers()):
            run_next()
        assert runner.claim(excluded=[first.pk]) is None
        make_task(Numbers(), {"until": 1}, account_id=second.pk)
        with installed(Numbers()):
            run_next()
        unit = runner.claim(excluded=[first.pk])
        assert unit is not None
        assert unit.account_id == second.pk
