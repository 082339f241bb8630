"""Settings of tasks: threads, errors, schedules, sources of pictures, cross-matching."""

import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import pytest

from apps.accounts.auth.principal import Actor
from apps.accounts.models import Account
from apps.common import errors
from apps.common.descriptors import versions
from apps.common.errors import LunaError
from apps.common.fetch import Timeouts, stream
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.common.validation import checked_data
from apps.tasks.machine import dispatcher, runner
from apps.tasks.models import TaskError
from apps.tasks.schedules.runs import schedules_fire
from apps.tasks.schedules.services import ScheduleDraft, schedule_create
from apps.tasks.sources import archive, disk
from apps.tasks.sources.base import SourceError
from apps.tasks.sources.reading import Reader
from apps.tasks.types.clustering import TYPE as CLUSTERING
from apps.tasks.types.cross_match import TYPE as CROSS_MATCH
from tests.factories import make_version, unit_vectors
from tests.file_servers import http_server
from tests.tasks import installed, make_task, run_all
from tests.tasks_run import run_task
from tests.unit.live.conftest import Store
from tests.unit.live.table import live
from tests.unit.tasks.sources.helpers import read_all
from tests.unit.tasks.test_clustering import stored_faces
from tests.unit.tasks.types import Numbers

DIMENSION, NUMBER = 24, 9731


@pytest.fixture
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    make_version(NUMBER, DIMENSION)
    monkeypatch.setattr(versions, "_defaults", {"face": NUMBER})


@live("LUNA_TASKS.subtask_threads")
def test_threads(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker with one running stage claims another one if it has a free thread."""
    claimed: list[object] = []
    monkeypatch.setattr(runner, "claim", lambda **known: claimed.append(known))
    monkeypatch.setattr(dispatcher, "POLL_S", 0.0)
    monkeypatch.setattr(dispatcher, "close_old_connections", lambda: None)  # of the test's transaction
    monkeypatch.setattr(dispatcher, "Listener", lambda channel, wake: None)
    monkeypatch.setattr(dispatcher, "threading", Mock(Condition=threading.Condition))
    worker = dispatcher.Dispatcher()
    worker._cleaned_at = time.monotonic()
    worker._leases.add(Mock(unit=Mock(account_id=None)))
    worker._step()
    assert len(claimed) == 1
    store("LUNA_TASKS", subtask_threads=1)
    worker._step()
    assert len(claimed) == 1


@live("LUNA_TASKS.max_error_count_per_task")
@pytest.mark.usefixtures("store_dir")
def test_stored_errors(store: Store, account: Account) -> None:
    store("LUNA_TASKS", max_error_count_per_task=3)
    make_task(Numbers(), {"until": 5, "subtasks": 2}, account_id=account.pk)
    with installed(Numbers()):
        run_all()
    assert TaskError.objects.count() == 3


@live("LUNA_TASKS.default_clustering_threshold")
@pytest.mark.usefixtures("version")
def test_threshold_of_clustering(store: Store, account: Account) -> None:
    stored_faces(account, unit_vectors(2, DIMENSION))

    def threshold() -> float:
        outcome = run_task(CLUSTERING, {"objects_type": "faces", "filters": {}}, scope=Scope(account.pk))
        found: float = outcome.result["threshold"]
        return found

    assert threshold() == 0.8
    store("LUNA_TASKS", default_clustering_threshold=0.6)
    assert threshold() == 0.6


@pytest.mark.parametrize(("values", "fired"), [({}, 0), ({"missed_after": 86_400}, 1), ({"missed_runs": "once"}, 1)])
@live("LUNA_SCHEDULES.missed_runs", "LUNA_SCHEDULES.missed_after")
def test_missed_runs(
    store: Store, account: Account, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], fired: int
) -> None:
    kind = Numbers()
    monkeypatch.setattr("apps.tasks.schedules.runs.task_types", lambda: {kind.number: kind})
    draft = ScheduleDraft(task_type=kind, content={"until": 1}, trigger="0 * * * *")
    schedule_create(account_id=account.pk, draft=draft, actor=Actor(account.pk))
    store("LUNA_SCHEDULES", **{"missed_runs": "skip", **values})
    assert schedules_fire(utc_now() + timedelta(hours=20)) == fired


FILES = {f"{number}.jpg": bytes([number]) * 50 for number in range(4)}


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """Serve an archive and read it."""
    folder, work = tmp_path / "served", tmp_path / "work"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as file:
        for name, data in FILES.items():
            file.writestr(name, data)
    with http_server(folder) as address:

        def read() -> dict[str, Any]:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            found: dict[str, Any] = read_all({"source_type": "zip", "reference": f"{address}/a.zip"}, work)
            return found

        yield read


@pytest.mark.parametrize("name", ["archive_max_size", "archive_max_files"])
@live("LUNA_TASKS_SOURCES.archive_max_size", "LUNA_TASKS_SOURCES.archive_max_files")
def test_limits_of_archives(store: Store, read: Callable[[], dict[str, Any]], name: str) -> None:
    store("LUNA_OUTGOING_REQUESTS", allow_private_urls=True)
    assert read() == FILES
    store("LUNA_TASKS_SOURCES", **{name: 3})
    with pytest.raises(SourceError, match="more than 3"):
        read()


@live(
    *(
        f"LUNA_TASKS_LOAD_EXTERNAL_ARCHIVE_TIMEOUTS.{name}"
        for name in ("connect", "request", "sock_connect", "sock_read")
    )
)
def test_timeouts_of_archives(store: Store, read: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[Timeouts] = []

    def noted(*arguments: Any, timeouts: Timeouts, **named: Any) -> Any:
        limits.append(timeouts)
        return stream(*arguments, timeouts=timeouts, **named)

    monkeypatch.setattr(archive, "stream", noted)
    store("LUNA_OUTGOING_REQUESTS", allow_private_urls=True)
    group = "LUNA_TASKS_LOAD_EXTERNAL_ARCHIVE_TIMEOUTS"
    usual = {"connect": 50, "sock_connect": 51, "request": 52, "sock_read": 53}
    for name, seconds in (("connect", 5), ("sock_connect", 6), ("request", 7), ("sock_read", 8)):
        store(group, **{**usual, name: seconds})
        read()
    assert [(each.connect_s, each.silence_s) for each in limits] == [(5, 52), (6, 52), (50, 7), (50, 8)]


@live("LUNA_TASKS_SOURCES.disk_directories")
def test_directories(store: Store, tmp_path: Path) -> None:
    assert disk._root_of(str(tmp_path / "a")) is None
    store("LUNA_TASKS_SOURCES", disk_directories=[str(tmp_path)])
    assert disk._root_of(str(tmp_path / "a")) == str(tmp_path)


@live("LUNA_TASKS_SOURCES.silence_s")
def test_silent_sources(store: Store) -> None:
    source: Any = SimpleNamespace(sessions=1, active=time.monotonic() - 30, lost=errors.FTP_LISTING_FAILED, place="x")
    reader = Reader(source, lambda: None)
    reader._check_all()
    store("LUNA_TASKS_SOURCES", silence_s=1)
    with pytest.raises(SourceError, match="no answer for 30 s"):
        reader._check_all()


REFERENCE = {"origin": "faces", "face_ids": [str(uuid4()), str(uuid4())]}
NAMES = {"origin": "faces", "external_ids": ["a", "b"]}


@pytest.mark.parametrize(
    ("limit", "content"),
    [
        ("array_filter_limit", {"reference_filters": REFERENCE}),
        ("short_array_filter_limit", {"reference_filters": NAMES}),
    ],
)
@live("PLATFORM_LIMITS.cross_match.array_filter_limit", "PLATFORM_LIMITS.cross_match.short_array_filter_limit")
def test_filters_of_cross_matching(store: Store, limit: str, content: dict[str, Any]) -> None:
    filters = {"filters": {"candidate_filters": {"origin": "faces"}, **content}}
    checked_data(CROSS_MATCH.Content, filters)
    store("PLATFORM_LIMITS", cross_match={limit: 1})
    with pytest.raises(LunaError) as wrong:
        checked_data(CROSS_MATCH.Content, filters)
    assert wrong.value.code == errors.INVALID_JSON


@live("PLATFORM_LIMITS.cross_match.general_limit", "PLATFORM_LIMITS.cross_match.result_candidate_limit")
@pytest.mark.usefixtures("version")
def test_sizes_of_cross_matching(store: Store, account: Account) -> None:
    stored_faces(account, unit_vectors(3, DIMENSION))

    def code(limit: int) -> int | None:
        sets = {"reference_filters": {"origin": "faces"}, "candidate_filters": {"origin": "faces"}}
        try:
            run_task(CROSS_MATCH, {"filters": sets, "limit": limit}, scope=Scope(account.pk))
        except LunaError as error:
            return error.code
        return None

    assert code(2) is None
    store("PLATFORM_LIMITS", cross_match={"result_candidate_limit": 1})
    assert code(2) == errors.TOO_MANY_REFERENCES
    store("PLATFORM_LIMITS", cross_match={"general_limit": 8})
    assert code(2) == errors.TOO_MANY_CROSS_MATCHING_OBJECTS
