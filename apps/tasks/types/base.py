"""The contract of a type of background tasks: one file and one class a type.

The machine calls `check` when a task is created, then in workers `split`, `process` for each subtask, and `merge`.
Workers can be killed at any point. A stage that was interrupted is executed again: `split` and `merge` from their
start, `process` with the last checkpoint.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol
from uuid import UUID

from rest_framework import serializers

from apps.accounts.auth.principal import Actor
from apps.common.errors import LunaError
from apps.common.scope import Scope

JSON_TYPE, ZIP_TYPE = "application/json", "application/zip"


class StageEnded(BaseException):
    """A stage must end now, without a result. Not an Exception, so that types do not catch it by mistake."""


class StageCancelled(StageEnded):
    """The task was cancelled or deleted."""


class LeaseLost(StageEnded):
    """Another worker has the task or the subtask, or may have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """The optional services that a type requires: where one is off, its tasks are rejected.

    A type that does not require the Image Store works without it, and its tasks then have no results.
    """

    image_store: bool = True
    handlers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A subtask that `split` defines. `content`: JSON. `parts`: its share of the task's progress."""

    content: Mapping[str, Any] = field(default_factory=dict)
    parts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """A result that is a file below `run.directory`. The machine stores it and removes the file."""

    path: Path
    content_type: str = ZIP_TYPE


Result = Mapping[str, Any] | Sequence[Any] | Iterator[bytes] | ResultFile | None
"""The result of a subtask or a task.

JSON values, and an iterator over the bytes of one JSON value, are stored as `{"result": …, "errors": […]}`; a
`ResultFile` is stored as it is. None: no result.
"""


class TaskRun(Protocol):
    """A running stage of a task, as `split` and `merge` see it.

    `content`: the validated content, with times that are relative to `create_time` resolved and secrets opened.
    `account_id`: None for all accounts. `scope`: the rows that the task may see. `directory`: an empty directory, which
    is removed after the stage.
    """

    task_id: int
    task_type: int
    account_id: UUID | None
    scope: Scope
    actor: Actor
    create_time: datetime
    content: Any
    directory: Path

    def check(self) -> None:
        """Raise StageCancelled if the task was cancelled or deleted, LeaseLost if another worker has the stage.

        It costs less than a microsecond. A type calls it at least every 200 ms, also within loops over one object.
        """

    def error(self, error: LunaError, *, info: str = "") -> None:
        """Record an error of one object; the task goes on.

        `info`: the object, at most 128 characters. The error is stored with the next checkpoint or with the end of the
        stage, exactly once. Errors over `max_error_count_per_task` are counted but not stored.
        """

    def at_end(self, write: Callable[[], object]) -> None:
        """Execute `write` in the transaction that ends the stage: audit lines, for example, of what its result shows.

        A stage that is interrupted, fails or is cancelled does not execute it.
        """


class SubtaskRun(TaskRun, Protocol):
    """A running subtask. `part`: its content. `state`, `blob`: its last checkpoint; empty and None at first."""

    subtask_id: int
    part: Mapping[str, Any]
    state: Mapping[str, Any]
    blob: bytes | None

    def checkpoint(
        self, state: Mapping[str, Any], *, blob: bytes | bytearray | None = None, parts_done: int | None = None
    ) -> AbstractContextManager[None]:
        """Open a transaction that stores a checkpoint, the errors so far and the writes within, or nothing.

        Use: `with run.checkpoint({"after": key}, parts_done=n): services…`. The transaction locks the subtask, and
        raises LeaseLost if another worker has it, so that no write happens twice. `state` and `blob` are read when the
        block ends: the writes within may fill a dictionary and a bytearray. `blob`: None keeps the stored one. `state`
        and `blob` of the run have the new values afterwards.
        """

    def progress(self, done: int, total: int | None = None) -> None:
        """Show progress between checkpoints, in parts of this subtask; `total` replaces their number.

        It costs a write at most twice a second.
        """


class TaskType(ABC):
    """A type of background tasks. It has no state: one object serves all threads.

    `name`: part of the address `/6/tasks/<name>`. `number`: see `TaskKind`. `Content`: the serializer of `content`,
    which rejects unknown keys; all its declared filters accept relative times. `secrets`: paths of secrets within
    `content`, such as `("source", "authorization", "password")`; they are stored sealed and shown masked. `*` in a path
    stands for all members of an object or array.
    `operators_only`: created through Admin only. `schedulable`: whether schedules may create such tasks.
    """

    name: ClassVar[str]
    number: ClassVar[int]
    Content: ClassVar[type[serializers.Serializer[Any]]]
    needs: ClassVar[Needs] = Needs()
    secrets: ClassVar[tuple[tuple[str, ...], ...]] = ()
    operators_only: ClassVar[bool] = False
    schedulable: ClassVar[bool] = True

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        """Check validated content beyond its schema, when a task or a schedule is created. Raises LunaError."""
        return

    def split(self, run: TaskRun) -> Iterable[Part]:
        """Yield the subtasks, at least one. Raises LunaError: the task fails with it."""
        return (Part(),)

    @abstractmethod
    def process(self, run: SubtaskRun) -> Result:
        """Execute a subtask from its last checkpoint, and return its result.

        Raises LunaError: the task fails with it.
        """

    def merge(self, run: TaskRun, results: Iterator[Any]) -> Result:
        """Return the task's result of those of its subtasks, in order: decoded JSON, an open file, or None.

        The result that is a `ResultFile` is a binary file that can seek; it is closed when the next one is requested.
        Not called for a single subtask, whose result is the task's. By default, the result is the list of the results.
        """
        return [*results]
