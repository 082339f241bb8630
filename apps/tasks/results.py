"""Results of tasks and subtasks: objects of the bucket `task-result`, written and read as streams.

The id of a result is the token of the lease under which it was written. The next holder of an expired lease therefore
knows the object that a killed worker may have left, and deletes it.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypedDict
from uuid import UUID

import orjson

from apps.accounts.auth.principal import Actor
from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.json_types import TimeJson
from apps.common.parts import IMAGE_STORE, part_is_on
from apps.common.scope import Scope
from apps.common.times import format_time
from apps.imagestore.choices import Bucket
from apps.imagestore.selectors import objects_get
from apps.imagestore.services import object_bytes, object_open, object_store, objects_delete
from apps.tasks.models import Task, TaskError
from apps.tasks.types.base import JSON_TYPE, Result, ResultFile

BUCKET = Bucket.TASK_RESULT
TASK_KEY = "task_id"  # of the metadata of a result: the objects that clients store in the bucket lack it
WHOLE = Scope(None)


class TaskErrorJson(TypedDict):
    """An error of a task, mostly of one object."""

    error_id: int
    task_id: int
    subtask_id: int | None
    error_code: int
    description: str
    detail: str
    additional_info: str
    error_time: TimeJson


class TaskResultJson(TypedDict):
    """A result. The type of the task defines `result`."""

    result: object
    errors: list[TaskErrorJson]


def error_body(error: TaskError) -> TaskErrorJson:
    """Return the JSON of an error, in results and responses."""
    return {
        "error_id": error.error_id,
        "task_id": error.task_id,
        "subtask_id": error.subtask_id,
        "error_code": error.error_code,
        "description": error.description,
        "detail": error.detail,
        "additional_info": error.additional_info,
        "error_time": format_time(error.error_time),
    }


def results_are_stored() -> bool:
    """Return whether the Image Store is on, so that tasks have results."""
    return part_is_on(IMAGE_STORE)


def result_store(*, task: Task, result_id: UUID, result: Result, task_errors: Iterable[TaskErrorJson]) -> UUID | None:
    """Store a result and return its id; None without a result, or without the Image Store.

    JSON is stored as `{"result": …, "errors": […]}`, a `ResultFile` as it is. Raises the errors of `object_store`.
    """
    if result is None or not results_are_stored():
        _consume(result)
        return None
    owner = _owner(task)
    if owner is None:
        _consume(result)
        return None
    with ExitStack() as stack:
        if isinstance(result, ResultFile):
            data: Any = stack.enter_context(result.path.open("rb"))
            content_type = result.content_type
        else:
            data, content_type = Chunks(_json_chunks(result, task_errors)), JSON_TYPE
        object_store(
            bucket=BUCKET,
            account_id=owner,
            data=data,
            content_type=content_type,
            object_id=result_id,
            ttl_days=task.result_ttl_days,
            meta={TASK_KEY: task.task_id},
        )
    _consume(result)
    return result_id


@contextmanager
def result_open(result_id: UUID | None) -> Iterator[Any]:
    """Open a stored result: its decoded member `result`, the file of a `ResultFile`, or None for no result.

    Raises LunaError TASK_RESULT_NOT_FOUND for a result that is gone, and those of `object_open`.
    """
    if result_id is None:
        yield None
        return
    stored = objects_get(scope=WHOLE, bucket=BUCKET, object_ids=[result_id]).get(result_id)
    if stored is None:
        raise LunaError(errors.TASK_RESULT_NOT_FOUND, result_id)
    if stored.content_type == JSON_TYPE:
        yield orjson.loads(object_bytes(stored=stored))["result"]
        return
    with object_open(stored=stored) as file:
        yield file


def results_remove(result_ids: Collection[UUID], *, actor: Actor | None = None) -> None:
    """Delete those results that exist, with one audit line each. Raises LunaError when the storage fails."""
    rows = objects_get(scope=WHOLE, bucket=BUCKET, object_ids=[*result_ids])
    by_owner: dict[UUID, list[UUID]] = {}
    for row in rows.values():
        by_owner.setdefault(row.account_id, []).append(row.object_id)
    for owner, object_ids in by_owner.items():
        objects_delete(account_id=owner, bucket=BUCKET, object_ids=object_ids, actor=actor)


class Chunks:
    """A readable stream of an iterator over bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join((self._left, *self._chunks))
        parts = [self._left]
        have = len(self._left)
        while have < size and (chunk := next(self._chunks, None)) is not None:
            parts.append(chunk)
            have += len(chunk)
        data = b"".join(parts)
        self._left = data[size:]
        return data[:size]


def _json_chunks(result: Any, task_errors: Iterable[TaskErrorJson]) -> Iterator[bytes]:
    yield b'{"result":'
    if isinstance(result, Iterator):
        yield from result
    else:
        yield orjson.dumps(result)
    yield b',"errors":['
    for number, error in enumerate(task_errors):
        yield (b"," if number else b"") + orjson.dumps(error)
    yield b"]}"


def _consume(result: Result) -> None:
    """Execute the rest of a generator, whose side effects belong to the stage, and remove a file."""
    if isinstance(result, ResultFile):
        result.path.unlink(missing_ok=True)
    elif isinstance(result, Iterator):
        for _ in result:
            pass


def _owner(task: Task) -> UUID | None:
    """Return the owner of a task's result: its account; for a task of all accounts its creator or an administrator."""
    if task.account_id is not None:
        found: UUID = task.account_id
        return found
    admins = Account.objects.filter(deletion_time=None)
    creator = admins.filter(account_id=task.creator_id).first() if task.creator_id else None
    owner = creator or admins.filter(account_type=AccountType.ADMIN).order_by("create_time").first()
    return None if owner is None else owner.account_id
