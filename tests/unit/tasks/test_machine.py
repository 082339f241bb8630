"""Stages, checkpoints, ends and results, without the threads of a worker."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import DataError, OperationalError, connection

from apps.accounts.auth.principal import Actor
from apps.accounts.models import Account
from apps.common import errors
from apps.common.config import AdditionalServices
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.imagestore.models import StoredObject
from apps.sender.models import Callback
from apps.tasks import jobs
from apps.tasks.choices import TaskStatus
from apps.tasks.config import Tasks
from apps.tasks.machine import ends, queue, runner
from apps.tasks.machine.dispatcher import heartbeat
from apps.tasks.machine.queue import MAX_ATTEMPTS, Stage
from apps.tasks.machine.runs import Lease
from apps.tasks.models import Subtask, Task, TaskError
from apps.tasks.services import task_cancel, task_delete
from apps.tasks.types.base import LeaseLost, Part, Result, ResultFile, StageCancelled, SubtaskRun, TaskRun
from tests.factories import make_account, stored_bytes
from tests.tasks import installed, make_task, next_unit, run_all, run_next
from tests.unit.tasks.types import Light, Numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]


class Died(BaseException):
    """The death of a worker."""


@pytest.fixture
def owner() -> Account:
    return make_account()


def fresh(task: Task) -> Task:
    found: Task = Task.objects.unscoped().get(task_id=task.task_id)
    return found


def result_of(task: Task) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(
        stored_bytes(scope=Scope(None), bucket="task-result", object_id=fresh(task).result_id)  # type: ignore[arg-type]
    )
    return found


def expire_leases() -> None:
    with connection.cursor() as cursor:
        for table in ("tasks_task", "tasks_subtask"):
            cursor.execute(f"UPDATE {table} SET lease_time = now() - interval '1 s' WHERE lease_time IS NOT NULL")  # noqa: S608


def stored_results() -> int:
    return StoredObject.objects.unscoped().filter(bucket="task-result").count()


class TestStages:
    def test_one_subtask(self, owner: Account) -> None:
        numbers = Numbers()
        task = make_task(numbers, {"until": 4}, account_id=owner.pk, result_ttl_days=7)
        with installed(numbers):
            assert [unit.stage for unit in iter(run_next, None)] == [Stage.SPLIT, Stage.PROCESS]
        task = fresh(task)
        assert (task.task_status, task.count_task_parts_done, task.count_task_parts_all) == (TaskStatus.DONE, 4, 4)
        assert (task.count_errors, task.lease_token) == (2, None)
        found = result_of(task)
        assert found["result"] == [0, 1, 2, 3]
        stored_errors = TaskError.objects.order_by("error_id")
        assert [each["error_id"] for each in found["errors"]] == [each.error_id for each in stored_errors]  # type: ignore[attr-defined]
        assert [each.additional_info for each in stored_errors] == ["1", "3"]
        subtask = Subtask.objects.get()
        assert (subtask.subtask_status, subtask.result_id, subtask.blob) == (TaskStatus.DONE, task.result_id, None)
        assert StoredObject.objects.unscoped().get(object_id=task.result_id).ttl_days == 7

    def test_several_subtasks_are_merged(self, owner: Account) -> None:
        numbers = Numbers()
        task = make_task(numbers, {"until": 2, "subtasks": 3}, account_id=owner.pk)
        with installed(numbers):
            stages = [unit.stage for unit in iter(run_next, None)]
        assert stages == [Stage.SPLIT, *[Stage.PROCESS] * 3, Stage.MERGE]
        found = result_of(task)
        assert found["result"] == [0, 1, 100, 101, 200, 201]
        assert len(found["errors"]) == 3  # type: ignore[arg-type]
        assert stored_results() == 4

    def test_a_file_as_result(self, owner: Account) -> None:
        class Zip(Numbers):
            def process(self, run: SubtaskRun) -> ResultFile:
                path = run.directory / "result.zip"
                path.write_bytes(b"PK")
                return ResultFile(path=path)

        task = make_task(Zip(), {"until": 1}, account_id=owner.pk)
        with installed(Zip()):
            run_all()
        stored = StoredObject.objects.unscoped().get(object_id=fresh(task).result_id)
        assert (stored.content_type, stored.size_bytes) == ("application/zip", 2)
        assert not [*runner.work_directory().glob("*")]

    def test_a_stream_as_result(self, owner: Account) -> None:
        class Stream(Numbers):
            def process(self, run: SubtaskRun) -> Iterator[bytes]:
                yield b"["
                yield b"1,"
                yield b"2]"

        task = make_task(Stream(), {"until": 1}, account_id=owner.pk)
        with installed(Stream()):
            run_all()
        assert result_of(task) == {"result": [1, 2], "errors": []}

    def test_without_the_image_store(self, owner: Account, configure: Callable[..., None]) -> None:
        configure(AdditionalServices, luna_image_store=False)
        with pytest.raises(LunaError) as caught:
            make_task(Numbers(), {"until": 1}, account_id=owner.pk)
        assert caught.value.code == errors.IMAGE_STORE_DISABLED
        task = make_task(Light(), {"until": 1, "subtasks": 2}, account_id=owner.pk)
        with installed(Light()):
            run_all()
        assert (fresh(task).task_status, fresh(task).result_id, stored_results()) == (TaskStatus.DONE, None, 0)


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


def test_an_invalid_policy_of_an_older_release_stops_no_task(owner: Account) -> None:
    policy = {kind: [{"type": "http", "url": "gopher://a"}] for kind in ("task_callbacks", "subtask_callbacks")}
    tasks = [make_task(Numbers(), {"until": 1}, account_id=owner.pk) for _ in range(2)]
    Task.objects.unscoped().filter(task_id=tasks[0].task_id).update(notification_policy=policy)
    with installed(Numbers()):
        run_all()
    assert [fresh(each).task_status for each in tasks] == [TaskStatus.DONE] * 2
    assert not Callback.objects.unscoped().exists()


class TestEnding:
    def test_writes_of_an_end_happen_once(self, owner: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also if a worker dies before an end. Not of a stage that is cancelled."""
        written: list[str] = []

        class Writes(Numbers):
            def split(self, run: TaskRun) -> Iterator[Part]:
                run.at_end(lambda: written.append("split"))
                yield from super().split(run)

            def process(self, run: SubtaskRun) -> Result:
                run.at_end(lambda: written.append("process"))
                return super().process(run)

            def merge(self, run: TaskRun, results: Iterator[Any]) -> Result:
                run.at_end(lambda: written.append("merge"))
                return super().merge(run, results)

        def die(*arguments: object) -> None:
            raise Died

        make_task(Writes(), {"until": 1, "subtasks": 2}, account_id=owner.pk)
        with installed(Writes()):
            for end in ("split_end", "process_end", "process_end", "merge_end"):
                with monkeypatch.context() as patched:
                    patched.setattr(f"apps.tasks.machine.ends.{end}", die)
                    with pytest.raises(Died):
                        run_next()
                expire_leases()
                run_next()
        assert written == ["split", "process", "process", "merge"]
        task = make_task(Writes(), {"until": 1}, account_id=owner.pk)
        stop = Writes(at=lambda run, number: task_cancel(scope=Scope(owner.pk), task_id=task.task_id))
        with installed(stop):
            run_all()
        assert written == ["split", "process", "process", "merge", "split"]


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
