"""Erasure of people and accounts from tasks, and the checks of `fsck`."""

import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError

from apps.accounts import erasure as accounts_erasure
from apps.accounts.choices import AccountType
from apps.accounts.erasure import account_erase
from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.holdings import Erasure, Trace
from apps.common.times import utc_now
from apps.faces.models import Face
from apps.faces.services import face_create
from apps.faces.types import FaceDraft
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_bytes
from apps.privacy.erasure import person_erase
from apps.tasks.choices import ScheduleStatus, TaskStatus
from apps.tasks.consistency import results_check, tasks_check
from apps.tasks.erasure import UUIDS, _contains, results_erase
from apps.tasks.machine import runner
from apps.tasks.models import Schedule, Subtask, SubtaskOutput, Task, TaskError
from apps.tasks.outputs import output_add, output_bytes
from apps.tasks.types.base import Part, Result, ResultFile, SubtaskRun, TaskRun
from tests.factories import make_account
from tests.tasks import installed, make_task, run_all, run_next
from tests.unit.tasks.types import Numbers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]


class Faces(Numbers):
    """Its result names all faces of the scope, as JSON or in an archive; so do its errors and its checkpoint."""

    name, number = "faces", 1003

    def __init__(self, *, archive: bool = False, checkpoint: bool = True) -> None:
        super().__init__()
        self.archive, self.checkpoint = archive, checkpoint

    def split(self, run: TaskRun) -> Iterator[Part]:
        yield Part(parts=2)

    def process(self, run: SubtaskRun) -> Result:
        found = sorted(map(str, Face.objects.for_scope(run.scope).values_list("face_id", flat=True)))
        for face_id in found:
            run.error(LunaError(errors.FACE_NOT_FOUND, face_id), info=face_id)
        if self.checkpoint:
            with run.checkpoint({"faces": found}):
                pass
        if run.content["until"] == 2:
            raise KeyboardInterrupt  # the worker dies
        if not self.archive:
            return found
        path = run.directory / "faces.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("faces.csv", "face_id\n" + "\n".join(found))
        return ResultFile(path=path)


def make_result(owner: Account, archive: bool, until: int = 1) -> Task:
    kind = Faces(archive=archive)
    task = make_task(kind, {"until": until}, account_id=owner.pk)
    with installed(kind):
        run_next()
        try:
            run_next()
        except KeyboardInterrupt:
            assert Subtask.objects.get(task=task).state["faces"]
    return task


def results() -> int:
    return StoredObject.objects.unscoped().filter(bucket="task-result").count()


@pytest.mark.parametrize("archive", [False, True])
def test_an_erased_person_is_in_no_result(archive: bool) -> None:
    owner, other = make_account(), make_account()
    face_create(account_id=other.pk, draft=FaceDraft(external_id="bob"))
    make_result(other, archive)
    without = make_result(owner, archive)
    ada = face_create(account_id=owner.pk, draft=FaceDraft(external_id="ada"))
    bob = face_create(account_id=owner.pk, draft=FaceDraft(external_id="bob"))
    done = make_result(owner, archive)
    running = make_result(owner, archive, until=2)

    trace = Trace(external_id="ada", account_id=owner.pk)
    planned = person_erase(trace=trace, dry_run=True)
    assert results() == 3
    receipt = person_erase(trace=Trace(external_id="ada", account_id=owner.pk), dry_run=False)

    assert receipt.found["tasks"] == planned.found["tasks"] == [str(running.task_id)]
    assert receipt.found["task_errors"] == 2
    assert results() == 2
    assert {Task.objects.unscoped().get(pk=each.pk).result_id is None for each in (without, done)} == {False}
    assert Task.objects.unscoped().get(pk=running.pk).task_status == TaskStatus.CANCELLED
    assert Subtask.objects.get(task=running).state == {}
    assert not TaskError.objects.filter(additional_info=str(ada.face_id)).exists()
    assert TaskError.objects.filter(additional_info=str(bob.face_id)).count() == 2


class ErasedWhileRead(Faces):
    """The person is erased after the first attempt has read the faces, and before it ends."""

    name, number = "erased_while_read", 1004
    attempts = 0

    def process(self, run: SubtaskRun) -> Result:
        found = super().process(run)
        self.attempts += 1
        if self.attempts == 1:
            person_erase(trace=Trace(external_id="ada", account_id=run.account_id), dry_run=False)
        return found


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_person_who_is_erased_while_a_task_reads_is_in_no_result(archive: bool, checkpoint: bool) -> None:
    owner = make_account()
    face_create(account_id=owner.pk, draft=FaceDraft(external_id="ada"))
    bob = face_create(account_id=owner.pk, draft=FaceDraft(external_id="bob"))
    kind = ErasedWhileRead(archive=archive, checkpoint=checkpoint)
    task = make_task(kind, {"until": 1}, account_id=owner.pk)
    with installed(kind):
        run_all()
    task = Task.objects.unscoped().get(pk=task.pk)
    if checkpoint:  # it names the person
        assert (task.task_status, results()) == (TaskStatus.CANCELLED, 0)
        return
    assert (task.task_status, kind.attempts, results()) == (TaskStatus.DONE, 2, 1)
    (row,) = StoredObject.objects.unscoped().filter(bucket="task-result")
    data = object_bytes(stored=row)
    if archive:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            data = opened.read("faces.csv")
    assert {each.decode() for each in UUIDS.findall(data)} == {str(bob.face_id)}


def test_a_schedule_that_names_an_erased_person_is_stopped() -> None:
    owner = make_account()
    ada = face_create(account_id=owner.pk, draft=FaceDraft(external_id="ada"))
    times = {"create_time": utc_now(), "last_update_time": utc_now(), "next_run_at": utc_now()}
    content = {"objects_type": "faces", "filters": {"face_ids": [str(ada.face_id).upper()]}}
    named, other = (
        Schedule.objects.create(account=owner, task_type=8, trigger="0 3 * * *", content=each, **times)
        for each in (content, {"markup": [{"face_id": str(uuid4()), "label": 1e40}]})  # jsonb has 41 digits
    )
    receipt = person_erase(trace=Trace(face_id=ada.face_id, account_id=owner.pk), dry_run=False)
    assert receipt.found["schedules"] == [str(named.schedule_id)]
    named.refresh_from_db()
    other.refresh_from_db()
    assert (named.status, named.content, named.next_run_at) == (ScheduleStatus.STOPPED, {}, None)
    assert (other.status, other.next_run_at) == (ScheduleStatus.STARTED, times["next_run_at"])


def test_an_erased_account_is_in_no_result_of_all_accounts() -> None:
    admin = make_account(AccountType.ADMIN)
    make_task(Faces(), {"until": 1}, account_id=None)
    owner = make_account()
    make_task(Faces(), {"until": 1}, account_id=None)
    with installed(Faces()):
        run_all()
    assert results() == 2
    assert {row.account_id for row in StoredObject.objects.unscoped()} == {admin.pk}
    erasure = Erasure()
    results_erase(owner.pk, erasure)
    assert (results(), dict(erasure.removed)) == (1, {"imagestore_storedobject": 1})


def test_tasks_of_an_account_end_before_its_rows_are_deleted() -> None:
    owner = make_account()
    make_task(Faces(), {"until": 1}, account_id=owner.pk)
    results_erase(owner.pk, Erasure())
    assert runner.claim() is None


def test_an_erasure_continues_after_a_row_that_a_task_added(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = make_account()
    make_task(Faces(), {"until": 1}, account_id=owner.pk)
    erase, failures = accounts_erasure.rows_erase, [IntegrityError()]

    def failing(**arguments: Any) -> None:
        if failures:
            raise failures.pop()
        erase(**arguments)

    monkeypatch.setattr(accounts_erasure, "rows_erase", failing)
    assert account_erase(account_id=owner.pk) is not None
    assert not Task.objects.unscoped().exists()


def test_ids_are_found_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.tasks.erasure.CHUNK_BYTES", 50)
    wanted = "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e"
    for before in range(120):
        file: Any = io.BytesIO(b"x" * before + wanted.encode() + b"y" * 40)
        assert _contains(file, {wanted})
        file.seek(0)
        assert not _contains(file, {wanted.replace("0193", "0194")})


def test_results_without_tasks_and_tasks_without_results() -> None:
    owner = make_account()
    lost, whole = make_result(owner, False), make_result(owner, False)
    orphan = make_result(owner, False)
    assert [*results_check(False), *tasks_check(False)] == []
    rows = StoredObject.objects.unscoped()
    rows.filter(object_id=Task.objects.unscoped().get(pk=lost.pk).result_id).delete()
    Task.objects.unscoped().filter(pk=orphan.pk).update(result_id=None)
    Subtask.objects.filter(task=orphan).update(result_id=None)
    assert [*results_check(False)] == []  # it may be about to end
    rows.update(create_time=utc_now() - timedelta(hours=2))
    faults = [*results_check(False), *tasks_check(False)]
    assert [fault.kind for fault in faults] == ["result without task", "task without its result"]
    for fault in faults:
        assert fault.mend is not None
        fault.mend()
    assert [*results_check(False), *tasks_check(False)] == []
    assert results() == 1
    assert Task.objects.unscoped().get(pk=whole.pk).result_id is not None


def test_pieces_of_the_result_of_a_running_subtask() -> None:
    """Only the items that name the person go."""
    account = make_account()
    face, other = (face_create(account_id=account.pk, draft=FaceDraft(external_id=name)) for name in ("ada", "bob"))
    task = make_task(Numbers(), {"until": 1}, account_id=account.pk)
    subtask = Subtask.objects.create(task=task, create_time=utc_now())
    for items in ([str(face.face_id), str(other.face_id)], [str(face.face_id)]):
        output_add(subtask_id=subtask.pk, items=items)
    person_erase(trace=Trace(external_id="ada", account_id=account.pk), dry_run=False)
    assert b"".join(output_bytes(subtask_id=subtask.pk)) == f'["{other.face_id}"]'.encode()
    assert SubtaskOutput.objects.count() == 1
