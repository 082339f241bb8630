"""The reporter: clusters of a clustering task as a table, objects that are gone, pictures, parts, kills, errors."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from apps.accounts.models import Account, AuditRecord
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.faces.services import face_create, face_delete
from apps.faces.types import FaceDraft
from apps.imagestore.choices import Bucket
from apps.imagestore.services import object_delete, object_store
from apps.tasks import tables
from apps.tasks.choices import TaskKind, TaskStatus
from apps.tasks.models import Task
from apps.tasks.types import reporter
from apps.tasks.types.base import StageCancelled
from apps.tasks.types.reporter import TABLE, TYPE
from tests.factories import make_account, make_event
from tests.tasks_run import Outcome, Places, run_task, runs_killed
from tests.unit.tasks.archive_tasks import lines, members, sample, unpacked

pytestmark = pytest.mark.django_db

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _unwatched(monkeypatch: pytest.MonkeyPatch, store_dir: Path) -> None:
    """Only the stages themselves pass the places of the double."""
    monkeypatch.setattr(tables, "WATCH_S", 60)


@pytest.fixture
def account() -> Account:
    return make_account()


def clustering(account: Account, clusters: Sequence[Sequence[UUID]], kind: str = "faces", **columns: Any) -> Task:
    """A clustering task that is done, and its result."""
    result = {"clusters": clusters, "total_objects": sum(map(len, clusters)), "total_clusters": len(clusters)}
    stored = object_store(
        bucket=Bucket.TASK_RESULT,
        account_id=account.account_id,
        data=orjson.dumps({"result": result, "errors": []}),
        content_type="application/json",
    )
    values = {
        "task_type": TaskKind.CLUSTERING, "task_status": TaskStatus.DONE, "content": {"objects_type": kind},
        "create_time": MOMENT, "last_update_time": MOMENT, "result_id": stored.object_id,
    }  # fmt: skip
    task: Task = Task.objects.create(account_id=account.account_id, **(values | columns))
    return task


def report(account: Account | None, task: Task, **content: Any) -> Outcome:
    scope = Scope(account.account_id if account else None)
    return run_task(TYPE, {"task_id": task.task_id, **content}, scope=scope)


def make_faces(account: Account, *user_data: str) -> list[UUID]:
    return [
        face_create(account_id=account.account_id, draft=FaceDraft(user_data=each)).face_id for each in user_data
    ]  # fmt: skip


def test_rows_follow_the_clusters_and_objects_that_are_gone_are_empty(account: Account) -> None:
    ada, bob, eve, gone = make_faces(account, "Ada", "=Bob", "Eve", "gone")
    (foreign,) = make_faces(make_account(), "foreign")
    task = clustering(account, [[eve, ada], [gone], [bob, foreign]])
    face_delete(account_id=account.account_id, face_id=gone)
    outcome = report(account, task, columns=["user_data", "lists"], csv_delimiter=";")
    assert lines(outcome, TABLE) == [
        "cluster;face_id;user_data;lists",
        f"0;{eve};Eve;[]",
        f"0;{ada};Ada;[]",
        f"1;{gone};;",
        f"2;{bob};'=Bob;[]",
        f"2;{foreign};;",
    ]


def test_events_have_the_columns_and_pictures_of_events(account: Account) -> None:
    face, body = sample(account, data=b"face"), sample(account, Bucket.BODY_SAMPLES, b"body")
    detections = {"face_detections": [{"sample_id": str(face)}], "body_detections": [{"sample_id": str(body)}]}
    event = make_event(account, source="door", **detections)
    for descriptor, data in ((None, b"face"), ("body", b"body")):
        content = {"objects_type": "events", **({"descriptor": descriptor} if descriptor else {})}
        task = clustering(account, [[event.event_id]], "events", content=content)
        rows, pictures = unpacked(report(account, task, columns=["source"], save_images=1), TABLE)
        assert rows == [{"cluster": "0", "event_id": str(event.event_id), "source": "door"}]
        assert pictures == {f"{event.event_id}.jpg": data}
    assert AuditRecord.objects.filter(action="view", object_account_id=account.account_id).count() == 2


def test_all_columns_are_the_default_and_no_clusters_a_header(account: Account) -> None:
    outcome = report(account, clustering(account, []))
    assert lines(outcome, TABLE) == [",".join(["cluster", "face_id", *tables.KINDS["faces"].cells])]


@pytest.mark.parametrize("images", [0, 1])
def test_parts_are_joined_and_a_killed_worker_changes_nothing(
    account: Account, monkeypatch: pytest.MonkeyPatch, images: int
) -> None:
    avatars = [f"/6/samples/faces/{sample(account, data=bytes([number]))}" for number in range(5)]
    faces = [face_create(account_id=account.account_id, draft=FaceDraft(avatar=each)).face_id for each in avatars]
    task = clustering(account, [faces[:2], faces[2:3], faces[3:]])
    whole = report(account, task, save_images=images)
    assert [row["cluster"] for row in unpacked(whole, TABLE)[0]] == ["0", "0", "1", "2", "2"]
    assert len(unpacked(whole, TABLE)[1]) == 5 * images
    for name, value in (("ROWS", 2), ("ROWS_WITH_PICTURES", 2), ("PAGE", 1), ("PAGE_WITH_PICTURES", 1)):
        monkeypatch.setattr(reporter, name, value)

    def run(places: Places) -> Outcome:
        content = {"task_id": task.task_id, "save_images": images}
        return run_task(TYPE, content, scope=Scope(account.account_id), places=places, create_time=MOMENT)

    undisturbed = run(Places())
    assert [part.parts for part in undisturbed.parts] == [2, 2, 1]
    assert unpacked(undisturbed, TABLE) == unpacked(whole, TABLE)
    kills = 0
    for _, outcome in runs_killed(run, checks_too=True, step=5):
        assert members(outcome) == members(undisturbed)
        kills += 1
    views = AuditRecord.objects.filter(action="view", object_account_id=account.account_id, object_type="face_sample")
    assert views.count() == 5 * images * (3 + kills)  # one line for each picture of each report
    with pytest.raises(StageCancelled):
        run(Places(cancel_at=undisturbed.checks // 2))


def test_a_report_needs_a_clustering_task_that_is_done(account: Account) -> None:
    faces = make_faces(account, "a")
    cases: dict[int, dict[str, Any]] = {
        28013: {"task_type": TaskKind.LINKER},
        28015: {"task_status": TaskStatus.IN_PROGRESS},
        28016: {"result_id": None},
        28017: {"result_id": uuid4()},
    }
    for code, columns in cases.items():
        with pytest.raises(LunaError) as raised:
            report(account, clustering(account, [faces], **columns))
        assert raised.value.code == code
    with pytest.raises(LunaError) as raised:
        report(account, Task(task_id=2**62))
    assert raised.value.code == 28001


def test_a_result_that_is_deleted_while_the_report_is_made_is_named(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = clustering(account, [make_faces(account, "a")])
    process = TYPE.process

    def later(run: Any) -> Any:
        object_delete(account_id=account.account_id, bucket=Bucket.TASK_RESULT, object_id=UUID(str(task.result_id)))
        return process(run)

    monkeypatch.setattr(TYPE, "process", later)
    with pytest.raises(LunaError) as raised:
        report(account, task)
    assert raised.value.code == 28017


def test_columns_must_fit_the_objects(account: Account) -> None:
    with pytest.raises(LunaError) as raised:
        report(account, clustering(account, []), columns=["user_data", "gender"])
    assert raised.value.code == 28014
    assert '"gender"' in raised.value.detail
    assert "faces" in raised.value.detail
    report(account, clustering(account, [], "events"), columns=["gender"])


def test_tasks_of_other_accounts_do_not_exist(account: Account) -> None:
    task = clustering(account, [make_faces(account, "a")])
    other = make_account()
    with pytest.raises(LunaError) as raised:
        report(other, task)
    assert raised.value.code == 28001
    with pytest.raises(LunaError) as raised:
        report(account, task, account_id=str(other.account_id))
    assert raised.value.code == 11069
    assert len(unpacked(report(None, task), TABLE)[0]) == 1


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"task_id": None},
        {"task_id": "one"},
        {"task_id": 0},
        {"task_id": 2**63},
        {"task_id": [1]},
        {"task_id": {"id": 1}},
        {"task_id": 1, "columns": "user_data"},
        {"task_id": 1, "columns": [1]},
        {"task_id": 1, "columns": [["user_data"]]},
        {"task_id": 1, "columns": ["a" * 65]},
        {"task_id": 1, "columns": ["a"] * 101},
        {"task_id": 1, "save_images": "x"},
        {"task_id": 1, "csv_delimiter": "\n"},
        {"task_id": 1, "filters": {}},
        [1],
        1,
    ],
    ids=str,
)
def test_wrong_contents_are_refused(account: Account, content: Any) -> None:
    with pytest.raises(LunaError) as raised:
        run_task(TYPE, content, scope=Scope(account.account_id))
    assert raised.value.code == 12027


def test_a_report_is_not_scheduled() -> None:
    assert not TYPE.schedulable
