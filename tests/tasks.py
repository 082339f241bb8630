"""Real tasks in tests: user types for the length of a test, and their execution without threads."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from uuid import UUID

from apps.accounts.auth.principal import Actor
from apps.tasks.machine import runner
from apps.tasks.machine.queue import Unit
from apps.tasks.machine.runs import Lease
from apps.tasks.models import Task
from apps.tasks.services import TaskDraft, task_create
from apps.tasks.types import registry
from apps.tasks.types.base import TaskType


@contextmanager
def installed(*types: TaskType) -> Iterator[None]:
    """Install types of tasks beside the platform's."""
    known = {**registry.task_types(), **{each.number: each for each in types}}
    with patch.object(runner, "task_types", lambda: known):
        yield


def make_task(task_type: TaskType, content: Mapping[str, Any], *, account_id: UUID | None, **values: Any) -> Task:
    """Create a task."""
    draft = TaskDraft(content=content, **values)
    return task_create(task_type=task_type, account_id=account_id, draft=draft, actor=Actor(account_id))


def next_unit() -> Unit:
    """Claim the most urgent stage."""
    unit = runner.claim()
    assert unit is not None
    return unit


def run_next() -> Unit | None:
    """Execute the most urgent stage, as a thread of a worker does."""
    unit = runner.claim()
    if unit is not None:
        runner.execute(Lease(unit))
    return unit


def run_all() -> int:
    """Execute all stages that are due. Return their number."""
    number = 0
    while run_next() is not None:
        number += 1
    return number
