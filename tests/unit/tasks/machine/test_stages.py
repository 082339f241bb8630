"""Stages, their results and their ends, without the threads of a worker."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apps.accounts.models import Account
from apps.common import errors
from apps.common.config import AdditionalServices
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.imagestore.models import StoredObject
from apps.tasks.choices import TaskStatus
from apps.tasks.machine import runner
from apps.tasks.machine.queue import Stage
from apps.tasks.models import Subtask, TaskError
from apps.tasks.services import task_cancel
from apps.tasks.types.base import Part, Result, ResultFile, SubtaskRun, TaskRun
from tests.tasks import installed, make_task, run_all, run_next
from tests.unit.tasks.machine.rows import Died, expire_leases, fresh, result_of, stored_results
from tests.unit.tasks.types import Light, Numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]


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
