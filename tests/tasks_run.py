"""An in-memory double of the machine of background tasks: it runs a type's stages without rows, workers and leases.

`run_task` executes a type to its end. `kill` ends a stage as the death of a worker does, and the stage is executed
again from the last checkpoint. `runs_killed` yields the outcome for each place where a worker can die.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from apps.accounts.auth.principal import Actor
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.common.validation import checked_data
from apps.tasks.types.base import JSON_TYPE, Part, Result, ResultFile, StageCancelled, TaskType

TASK_ID = 1


class Killed(BaseException):
    """The worker died here."""


@dataclass(frozen=True, slots=True)
class RecordedError:
    """An error of one object, as `run.error` got it."""

    code: int
    info: str
    detail: str


@dataclass
class Places:
    """Counts the places that a run passes: each checkpoint before and after its commit, and each `check`.

    `kill_at`, `cancel_at`: the numbers, from 1, of the place where the worker dies and of the check that finds the task
    cancelled. `checks_too`: whether checks count as places where the worker dies.
    """

    kill_at: int | None = None
    cancel_at: int | None = None
    checks_too: bool = False
    passed: int = 0
    checks: int = 0
    killed: bool = False

    def check(self) -> None:
        self.checks += 1
        if self.checks == self.cancel_at:
            raise StageCancelled
        if self.checks_too:
            self.place()

    def place(self) -> None:
        self.passed += 1
        if self.passed == self.kill_at:
            self.killed = True
            raise Killed


@dataclass
class Outcome:
    """What a task left behind.

    `result`: decoded JSON, or None. `data`: the bytes of a `ResultFile`. `progress`: each call of `progress`.
    `checkpoints`: the states that were stored.
    """

    result: Any = None
    data: bytes | None = None
    content_type: str | None = None
    errors: list[RecordedError] = field(default_factory=list)
    progress: list[tuple[int, int | None]] = field(default_factory=list)
    checkpoints: list[Mapping[str, Any]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    checks: int = 0


@dataclass
class FakeTaskRun:
    """Implements `TaskRun`. Errors reach the outcome when the stage ends, as in the machine."""

    content: Any
    scope: Scope
    directory: Path
    task_type: int
    places: Places
    outcome: Outcome
    actor: Actor
    create_time: datetime
    task_id: int = TASK_ID
    unstored: list[RecordedError] = field(default_factory=list)
    ending: list[Callable[[], object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.account_id: UUID | None = self.scope.account_id

    def check(self) -> None:
        self.places.check()

    def error(self, error: LunaError, *, info: str = "") -> None:
        assert len(info) <= 128
        self.unstored.append(RecordedError(error.code, info, error.detail))

    def at_end(self, write: Callable[[], object]) -> None:
        self.ending.append(write)

    def end(self) -> None:
        self.store_errors()
        for write in self.ending:
            write()

    def store_errors(self) -> None:
        self.outcome.errors.extend(self.unstored)
        self.unstored.clear()


@dataclass
class FakeSubtaskRun(FakeTaskRun):
    """Implements `SubtaskRun`. A checkpoint is a real transaction; its state passes through JSON."""

    subtask_id: int = 1
    part: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    blob: bytes | None = None
    stored: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def checkpoint(
        self, state: Mapping[str, Any], *, blob: bytes | bytearray | None = None, parts_done: int | None = None
    ) -> Iterator[None]:
        self.places.check()
        with transaction.atomic():
            yield
            packed = orjson.dumps(state)
            self.places.place()
        self.state = self.stored["state"] = orjson.loads(packed)
        if blob is not None:
            self.blob = self.stored["blob"] = bytes(blob)
        self.store_errors()
        self.outcome.checkpoints.append(self.state)
        if parts_done is not None:
            self.outcome.progress.append((parts_done, None))
        self.places.place()

    def progress(self, done: int, total: int | None = None) -> None:
        self.outcome.progress.append((done, total))


def run_task(
    task_type: TaskType,
    content: Mapping[str, Any],
    *,
    scope: Scope,
    places: Places | None = None,
    create_time: datetime | None = None,
    actor: Actor | None = None,
) -> Outcome:
    """Check, split, process and merge a task of raw JSON content; execute the killed stage again.

    Raises LunaError with which the task would fail, and StageCancelled at the check of `places.cancel_at`.
    """
    create_time, places, outcome = create_time or utc_now(), places or Places(), Outcome()
    checked = checked_data(task_type.Content, content, now=create_time)
    task_type.check(checked, scope=scope, scheduled=False)
    common: dict[str, Any] = {
        "content": checked,
        "scope": scope,
        "task_type": task_type.number,
        "places": places,
        "outcome": outcome,
        "actor": actor or Actor(account_id=scope.account_id),
        "create_time": create_time,
    }

    def split(directory: Path) -> list[Part]:
        run = FakeTaskRun(directory=directory, **common)
        parts = [
            Part(content=orjson.loads(orjson.dumps(part.content)), parts=part.parts) for part in task_type.split(run)
        ]
        run.end()
        return parts

    outcome.parts = _until_whole(split)
    assert outcome.parts, "a task has at least one subtask"
    results = [_process(task_type, number, part, common) for number, part in enumerate(outcome.parts, 1)]
    if len(results) == 1:
        _store(outcome, results[0])
    else:

        def merge(directory: Path) -> tuple[Any, bytes | None, str | None]:
            run = FakeTaskRun(directory=directory, **common)
            kept = _kept(task_type.merge(run, iter([_for_merge(*each) for each in results])))
            run.end()
            return kept

        _store(outcome, _until_whole(merge))
    outcome.checks = places.checks
    return outcome


def runs_killed(
    run: Callable[[Places], Outcome], *, checks_too: bool = False, step: int = 1
) -> Iterator[tuple[int, Outcome]]:
    """Yield the outcomes of runs whose worker dies at the first place, the second one, and so on to the last.

    `run` prepares the data and calls `run_task` with the places. `step`: every how manieth place.
    """
    number = 1
    while True:
        places = Places(kill_at=number, checks_too=checks_too)
        outcome = run(places)
        if not places.killed:
            return
        yield number, outcome
        number += step


def _process(
    task_type: TaskType, number: int, part: Part, common: dict[str, Any]
) -> tuple[Any, bytes | None, str | None]:
    stored: dict[str, Any] = {"state": {}, "blob": None}

    def process(directory: Path) -> tuple[Any, bytes | None, str | None]:
        run = FakeSubtaskRun(
            directory=directory,
            subtask_id=number,
            part=part.content,
            state=stored["state"],
            blob=stored["blob"],
            stored=stored,
            **common,
        )
        kept = _kept(task_type.process(run))
        run.end()
        return kept

    return _until_whole(process)


def _until_whole(stage: Callable[[Path], Any]) -> Any:
    while True:
        with TemporaryDirectory() as name:
            try:
                return stage(Path(name))
            except Killed:
                continue


def _kept(result: Result) -> tuple[Any, bytes | None, str | None]:
    """Return the result as it is after storage: decoded JSON, or the bytes of a file."""
    if result is None:
        return None, None, None
    if isinstance(result, ResultFile):
        return None, result.path.read_bytes(), result.content_type
    if isinstance(result, Iterator):
        return orjson.loads(b"".join(result)), None, JSON_TYPE
    return orjson.loads(orjson.dumps(result)), None, JSON_TYPE


def _for_merge(decoded: Any, data: bytes | None, _: str | None) -> Any:
    """Return a result as `merge` receives it: a file is open."""
    return decoded if data is None else BytesIO(data)


def _store(outcome: Outcome, kept: tuple[Any, bytes | None, str | None]) -> None:
    outcome.result, outcome.data, outcome.content_type = kept
