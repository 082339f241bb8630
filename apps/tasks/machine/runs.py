"""The running stages that types see: `TaskRun` and `SubtaskRun`, on the rows of their lease."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from django.db import DataError, IntegrityError, connection, transaction

from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.config import config
from apps.common.errors import CATALOGUE, LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.tasks.choices import TaskStatus
from apps.tasks.config import Tasks
from apps.tasks.machine.queue import LEASE_S, NO_PROGRESS, Held, Progress, Stage, Unit
from apps.tasks.models import Subtask, Task, TaskError
from apps.tasks.types.base import LeaseLost, StageCancelled, StageEnded

INFO_CHARACTERS = 128
DESCRIPTION_CHARACTERS = 64
DETAIL_CHARACTERS = 1024
WORKING = (TaskStatus.IN_PROGRESS, TaskStatus.COLLECTING)
ENDED: Mapping[Held, type[StageEnded]] = {Held.ENDED: StageCancelled, Held.LOST: LeaseLost}

# The state of the task is part of the condition: a cancelled task gets no more writes.
HOLD_SUBTASK = """
SELECT task.task_status FROM tasks_subtask AS subtask JOIN tasks_task AS task USING (task_id)
WHERE subtask.subtask_id = %s AND subtask.lease_token = %s FOR NO KEY UPDATE OF subtask
"""
HOLD_TASK = "SELECT task_status FROM tasks_task WHERE task_id = %s AND lease_token = %s FOR NO KEY UPDATE"
CHECKPOINT = f"""
UPDATE tasks_subtask SET state = %s, blob = coalesce(%s, blob), parts_done = coalesce(%s, parts_done), attempts = 0,
    count_errors = count_errors + %s, lease_time = clock_timestamp() + {LEASE_S} * interval '1 second'
WHERE subtask_id = %s
"""  # noqa: S608 (our own constants)


class Lease:
    """The lease of a unit in this process: whether it ended, and until when it surely holds."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.ended: type[StageEnded] | None = None
        self.until = time.monotonic() + LEASE_S
        self.run: StageRun | None = None  # once the rows are read

    def found(self, held: Held) -> None:
        if held is not Held.OURS:
            self.ended = ENDED[held]

    def renewed(self, asked: float) -> None:
        """Note a renewal. `asked`: `time.monotonic()` before it."""
        self.until = asked + LEASE_S

    def lapse(self) -> None:
        """End the stage if the lease was not renewed in time, because the database is unavailable."""
        if time.monotonic() > self.until:
            self.ended = LeaseLost


class StageRun:
    """A running split or merge; the base of a running subtask. One thread executes it, the heartbeat may end it."""

    def __init__(self, lease: Lease, *, task: Task, content: Any, directory: Path) -> None:
        self.lease = lease
        self.unit = lease.unit
        self.task = task
        self.task_id: int = task.task_id
        self.task_type: int = task.task_type
        self.account_id: UUID | None = task.account_id
        self.scope = Scope(task.account_id)
        self.actor = Actor(task.account_id or task.creator_id, task.token_id, task.remote_address)
        self.create_time: datetime = task.create_time
        self.content = content
        self.directory = directory
        self.found: list[TaskError] = []  # not stored yet
        self.uncounted = 0  # errors since the last checkpoint, also those over the limit
        self._ending: list[Callable[[], object]] = []

    def check(self) -> None:
        """Raise the end of the stage, if it has come."""
        ended = self.lease.ended
        if ended is not None:
            raise ended

    def error(self, error: LunaError, *, info: str = "") -> None:
        """Keep an error until the next checkpoint or the end."""
        self.uncounted += 1
        if len(self.found) < config(Tasks).max_error_count_per_task:
            self.found.append(error_row(error, info=info, task_id=self.task_id, subtask_id=self.unit.subtask_id))

    def at_end(self, write: Callable[[], object]) -> None:
        self._ending.append(write)

    def write_ending(self) -> None:
        """Execute the writes of the stage's end in the caller's transaction."""
        for write in self._ending:
            write()

    def progress_of(self) -> Progress:
        """Return the progress that is not stored yet."""
        return NO_PROGRESS

    def hold(self) -> None:
        """Lock the rows of the stage in the caller's transaction. Raises StageCancelled or LeaseLost."""
        statement = HOLD_SUBTASK if self.unit.stage is Stage.PROCESS else HOLD_TASK
        with connection.cursor() as cursor:
            cursor.execute(statement, [self.unit.key, self.unit.token])
            row = cursor.fetchone()
        if row is None:
            status = Task.objects.unscoped().filter(task_id=self.task_id).values_list("task_status", flat=True).first()
            raise LeaseLost if status in (TaskStatus.PENDING, *WORKING) else StageCancelled
        if row[0] not in WORKING:
            raise StageCancelled

    def store_errors(self) -> int:
        """Store the errors found so far in the caller's transaction, up to the limit. Return how many were reported."""
        if self.found:
            errors_store(self.found, task_id=self.task_id)
        return self.uncounted

    def errors_stored(self) -> None:
        """Forget the errors that a committed transaction has stored."""
        self.found, self.uncounted = [], 0


class SubtaskStageRun(StageRun):
    """A running subtask."""

    def __init__(self, lease: Lease, *, subtask: Subtask, **common: Any) -> None:
        super().__init__(lease, **common)
        self.subtask_id: int = subtask.subtask_id
        self.part: Mapping[str, Any] = subtask.content
        self.state: Mapping[str, Any] = subtask.state
        self.blob: bytes | None = None if subtask.blob is None else bytes(subtask.blob)
        self._progress: Progress = NO_PROGRESS

    @contextmanager
    def checkpoint(
        self, state: Mapping[str, Any], *, blob: bytes | bytearray | None = None, parts_done: int | None = None
    ) -> Iterator[None]:
        """Store a checkpoint with the writes within. Raises LunaError TASK_PROGRESS_UPDATE_FAILED for a bad one."""
        self.check()
        with transaction.atomic(durable=True):
            self.hold()
            yield
            count = self.store_errors()
            try:
                packed, data = orjson.dumps(state).decode(), None if blob is None else bytes(blob)
                with connection.cursor() as cursor:
                    cursor.execute(CHECKPOINT, [packed, data, parts_done, count, self.subtask_id])
            except (orjson.JSONEncodeError, DataError, IntegrityError) as error:
                raise self._unwritable(parts_done) from error
        self.errors_stored()
        self.state = orjson.loads(packed)
        if data is not None:
            self.blob = data
        if parts_done is not None:
            self._progress = (None, self._progress[1])

    def progress(self, done: int, total: int | None = None) -> None:
        """Note the progress; the heartbeat stores it."""
        self._progress = (done, self._progress[1] if total is None else total)

    def progress_of(self) -> Progress:
        return self._progress

    def _unwritable(self, parts_done: int | None) -> LunaError:
        return LunaError(errors.TASK_PROGRESS_UPDATE_FAILED, self.task_id, parts_done)


ROOM = "SELECT greatest(0, %s - count(*)) FROM tasks_taskerror WHERE task_id = %s"
NEW_IDS = "SELECT nextval(pg_get_serial_sequence('tasks_taskerror', 'error_id')) FROM generate_series(1, %s)"


def errors_store(rows: Sequence[TaskError], *, task_id: int) -> None:
    """Store errors of a task up to `max_error_count_per_task`. A lock keeps the limit exact between subtasks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"errors of task {task_id}"])
        cursor.execute(ROOM, [config(Tasks).max_error_count_per_task, task_id])
        (room,) = cursor.fetchone() or (0,)
    TaskError.objects.bulk_create(rows[:room], batch_size=1000)


def error_ids_assign(rows: Sequence[TaskError]) -> None:
    """Give errors the ids under which they will be stored, for results that contain them."""
    fresh = [row for row in rows if row.error_id is None]
    if fresh:
        with connection.cursor() as cursor:
            cursor.execute(NEW_IDS, [len(fresh)])
            for row, (error_id,) in zip(fresh, cursor, strict=True):
                row.error_id = error_id


def error_row(error: LunaError, *, task_id: int, subtask_id: int | None, info: str = "") -> TaskError:
    """Return the row of an error, with texts of the lengths that clients expect."""
    return TaskError(
        task_id=task_id,
        subtask_id=subtask_id,
        error_code=error.code,
        description=_text(CATALOGUE[error.code].desc, DESCRIPTION_CHARACTERS),
        detail=_text(error.detail, DETAIL_CHARACTERS),
        additional_info=_text(info, INFO_CHARACTERS),
        error_time=utc_now(),
    )


def _text(text: str, characters: int) -> str:
    """Return a text that PostgreSQL accepts: names of files may contain anything."""
    return text.encode(errors="replace").decode().replace("\x00", "?")[:characters]
