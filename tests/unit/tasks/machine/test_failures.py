"""Deaths of workers, leases that expire, errors of types and of the database."""

from collections.abc import Callable, Iterator

import orjson
import pytest
from django.db import DataError, OperationalError

from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError
from apps.sender.models import Callback
from apps.tasks.choices import TaskStatus
from apps.tasks.config import Tasks
from apps.tasks.machine import queue
from apps.tasks.machine.dispatcher import heartbeat
from apps.tasks.machine.queue import MAX_ATTEMPTS
from apps.tasks.models import Subtask, Task, TaskError
from apps.tasks.types.base import LeaseLost, Part, SubtaskRun, TaskRun
from tests.tasks import installed, make_task, next_unit, run_all, run_next
from tests.unit.tasks.machine.rows import Died, expire_leases, fresh, result_of, stored_results
from tests.unit.tasks.types import Numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]


class TestFailures:
    @pytest.mark.parametrize("place", range(3))
    def test_a_killed_worker_loses_and_doubles_nothing(self, owner: Account, place: int) -> None:
        def die(run: SubtaskRun, number: int) -> None:
            if number == place:
                raise Died

        dying = Numbers(at=die)
        task = make_task(dying, {"until": 3, "subtasks": 2}, account_id=owner.pk)
        with installed(dying):
            run_next()
            with pytest.raises(Died):
                run_next()
        expire_leases()
        with installed(Numbers()):
            run_all()
        assert result_of(task)["result"] == [0, 1, 2, 100, 101, 102]
        assert TaskError.objects.count() == 2
        assert stored_results() == 3

    def test_a_result_without_an_end_is_removed(self, owner: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        def die(*arguments: object) -> None:
            raise Died

        numbers = Numbers()
        task = make_task(numbers, {"until": 2}, account_id=owner.pk)
        with installed(numbers):
            run_next()
            with monkeypatch.context() as patched:
                patched.setattr("apps.tasks.machine.ends.process_end", die)
                with pytest.raises(Died):
                    run_next()
            assert stored_results() == 1
            expire_leases()
            run_all()
        assert stored_results() == 1
        assert result_of(task)["result"] == [0, 1]
        assert TaskError.objects.count() == 1

    def test_a_worker_that_outlived_its_lease_writes_nothing(self, owner: Account) -> None:
        seen: list[type[BaseException]] = []

        def steal(run: SubtaskRun, number: int) -> None:
            if number == 1 and not seen:
                expire_leases()
                assert next_unit().key == run.subtask_id
                try:
                    with run.checkpoint({"numbers": ["wrong"]}):
                        pass
                except LeaseLost:
                    seen.append(LeaseLost)
                    raise

        thief = Numbers(at=steal)
        task = make_task(thief, {"until": 3}, account_id=owner.pk)
        with installed(thief):
            run_next()
            run_next()
            assert seen == [LeaseLost]
            assert Subtask.objects.get().state == {"numbers": [0]}
            expire_leases()
            run_all()
        assert result_of(task)["result"] == [0, 1, 2]

    def test_leases_that_expire_again_and_again_fail_the_task(self, owner: Account) -> None:
        task = make_task(Numbers(), {"until": 3, "subtasks": 2}, account_id=owner.pk)
        with installed(Numbers()):
            run_next()
            for _ in range(MAX_ATTEMPTS):
                next_unit()
                expire_leases()
            run_next()
        assert fresh(task).task_status == TaskStatus.FAILED
        assert TaskError.objects.get().error_code == errors.TASK_WORKER_STOPPED
        assert sorted(Subtask.objects.values_list("subtask_status", flat=True)) == [2, 3]

    def test_an_error_fails_the_task(self, owner: Account) -> None:
        def fail(run: SubtaskRun, number: int) -> None:
            if number == 1:
                raise LunaError(errors.CLUSTERING_OBJECTS_NOT_FOUND)

        failing = Numbers(at=fail)
        task = make_task(failing, {"until": 3, "subtasks": 2}, account_id=owner.pk)
        with installed(failing):
            run_all()
        assert fresh(task).task_status == TaskStatus.FAILED
        assert [each.error_code for each in TaskError.objects.order_by("error_id")] == [
            errors.FACE_NOT_FOUND,
            errors.CLUSTERING_OBJECTS_NOT_FOUND,
        ]
        assert fresh(task).end_time is not None

    def test_an_error_that_may_pass_is_tried_again(self, owner: Account) -> None:
        tries: list[int] = []

        def busy(run: SubtaskRun, number: int) -> None:
            tries.append(number)
            if len(tries) == 2:
                raise LunaError(errors.DISK_OBJECT_SAVE_FAILED)

        passing = Numbers(at=busy)
        task = make_task(passing, {"until": 2}, account_id=owner.pk)
        with installed(passing):
            run_next()
            run_next()
            assert run_next() is None  # it pauses
            expire_leases()
            run_all()
        assert (result_of(task)["result"], tries) == ([0, 1], [0, 1, 1])

    def test_a_lost_database_leaves_the_stage_to_its_lease(
        self, owner: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.tasks.machine.runner.connection.close", lambda: None)  # it is the test's
        tries: list[int] = []

        def away(run: SubtaskRun, number: int) -> None:
            tries.append(number)
            if len(tries) == 1:
                raise OperationalError

        task = make_task(Numbers(at=away), {"until": 2}, account_id=owner.pk)
        with installed(Numbers(at=away)):
            run_next()
            run_next()
            assert run_next() is None
            expire_leases()
            run_all()
        assert result_of(task)["result"] == [0, 1]

    def test_a_fault_of_a_type(self, owner: Account) -> None:
        def fault(run: SubtaskRun, number: int) -> None:
            raise KeyError(number)

        task = make_task(Numbers(at=fault), {"until": 2}, account_id=owner.pk)
        with installed(Numbers(at=fault)):
            run_all()
        assert fresh(task).task_status == TaskStatus.FAILED
        assert TaskError.objects.get().error_code == errors.INTERNAL_ERROR

    def test_an_uninstalled_type_and_no_subtasks(self, owner: Account) -> None:
        unknown = make_task(Numbers(), {"until": 2}, account_id=owner.pk)
        run_all()
        empty = make_task(Numbers(), {"until": 2, "subtasks": 0}, account_id=owner.pk)
        with installed(Numbers()):
            run_all()
        assert {fresh(each).task_status for each in (unknown, empty)} == {TaskStatus.FAILED}
        assert {each.error_code for each in TaskError.objects.all()} == {errors.SUBTASKS_DISPATCH_FAILED}

    @pytest.mark.parametrize(
        ("state", "parts_done"), [({"bad": "\x00"}, 1), ({"bad": object()}, 1), ({}, 2**64), ({}, -1)]
    )
    def test_a_checkpoint_that_cannot_be_stored(
        self, owner: Account, state: dict[str, object], parts_done: int
    ) -> None:
        def bad(run: SubtaskRun, number: int) -> None:
            with run.checkpoint(state, parts_done=parts_done):
                pass

        task = make_task(Numbers(at=bad), {"until": 2}, account_id=owner.pk)
        with installed(Numbers(at=bad)):
            for _ in range(2 + MAX_ATTEMPTS):
                run_next()
                expire_leases()
        assert fresh(task).task_status == TaskStatus.FAILED
        assert TaskError.objects.get().error_code == errors.TASK_PROGRESS_UPDATE_FAILED

    @pytest.mark.parametrize(("subtasks", "code"), [(1, errors.SUBTASK_STATUS_UPDATE_FAILED), (2, 28006)])
    def test_an_end_that_cannot_be_stored(
        self, owner: Account, monkeypatch: pytest.MonkeyPatch, subtasks: int, code: int
    ) -> None:
        task = make_task(Numbers(), {"until": 1, "subtasks": subtasks}, account_id=owner.pk)

        def changed(task: Task) -> None:
            if task.task_status == TaskStatus.DONE:
                raise DataError

        monkeypatch.setattr("apps.tasks.machine.ends.task_changed", changed)
        with installed(Numbers()):
            for _ in range(subtasks + 1 + MAX_ATTEMPTS):
                run_next()
                expire_leases()
        assert fresh(task).task_status == TaskStatus.FAILED
        assert [each.error_code for each in TaskError.objects.all()] == [code]
        assert stored_results() == subtasks - (subtasks == 1)

    def test_the_limit_of_stored_errors(self, owner: Account, configure: Callable[..., None]) -> None:
        configure(Tasks, max_error_count_per_task=3)
        task = make_task(Numbers(), {"until": 5, "subtasks": 2}, account_id=owner.pk)
        with installed(Numbers()):
            run_all()
        assert (TaskError.objects.count(), fresh(task).count_errors) == (3, 4)

    @pytest.mark.parametrize("error", [LunaError(errors.FACE_NOT_FOUND, 1), RuntimeError("The engine is closed.")])
    def test_an_error_of_a_stage_whose_worker_stops(self, owner: Account, error: Exception) -> None:
        """What the stage uses may be closed already: another worker continues."""

        def stops(run: SubtaskRun, number: int) -> None:
            if number == 1:
                run.lease.ended = LeaseLost  # type: ignore[attr-defined]
                raise error

        hook = {"type": "http", "url": "http://a/b"}
        policy = {"task_callbacks": [hook], "subtask_callbacks": [hook]}
        task = make_task(Numbers(at=stops), {"until": 3}, account_id=owner.pk, notification_policy=policy)
        with installed(Numbers(at=stops)):
            queue.release(next_unit())
            run_next()
            run_next()
            next_unit()
            queue.revoke([owner.pk])
        with installed(Numbers()):
            run_all()
        assert (fresh(task).task_status, fresh(task).count_errors) == (TaskStatus.DONE, 1)
        assert result_of(task)["result"] == [0, 1, 2]
        reported = [orjson.loads(each.payload) for each in Callback.objects.unscoped().order_by("pk")]
        names = ("task_status", "subtask_status")
        assert sorted((name, each[name]) for each in reported for name in names if name in each) == [
            ("subtask_status", TaskStatus.IN_PROGRESS),
            ("subtask_status", TaskStatus.DONE),
            ("task_status", TaskStatus.IN_PROGRESS),
            ("task_status", TaskStatus.DONE),
        ]

    @pytest.mark.parametrize("fails", [False, True])
    def test_errors_are_counted_once(self, owner: Account, fails: bool) -> None:
        """Those of the split, of checkpoints that a heartbeat has summed up, of the end, and the reason of failure."""

        class Split(Numbers):
            def split(self, run: TaskRun) -> Iterator[Part]:
                run.error(LunaError(errors.FACE_NOT_FOUND, 1))
                yield from super().split(run)

        def beat(run: SubtaskRun, number: int) -> None:
            heartbeat([run.lease])  # type: ignore[attr-defined]
            if number == 3 and fails:
                raise LunaError(errors.CLUSTERING_OBJECTS_NOT_FOUND)

        task = make_task(Split(at=beat), {"until": 4, "subtasks": 2}, account_id=owner.pk)
        with installed(Split(at=beat)):
            run_all()
        assert fresh(task).task_status == (TaskStatus.FAILED if fails else TaskStatus.DONE)
        assert fresh(task).count_errors == TaskError.objects.count() == (4 if fails else 5)
