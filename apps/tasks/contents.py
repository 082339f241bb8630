"""Contents of tasks: stored as the client sent them, validated again when a stage begins."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.common.parts import HANDLERS, IMAGE_STORE, TASKS, part_check
from apps.common.scope import Scope
from apps.common.validation import checked_data
from apps.licenses.selectors import license_require
from apps.tasks.secrets import content_open
from apps.tasks.types.base import TaskType

PATH = "content"  # of a content in the body of a request


def content_read(task_type: TaskType, content: Mapping[str, Any], *, now: datetime) -> Any:
    """Validate a stored content, with its secrets opened. Limits that were lowered later do not apply.

    Relative times count from `now`. Raises LunaError INVALID_JSON, CREDENTIALS_DECRYPTION_FAILED.
    """
    return checked_data(task_type.Content, content_open(task_type, content), path=PATH, now=now, stored=True)


def content_check(
    task_type: TaskType, content: Mapping[str, Any], *, scope: Scope, now: datetime, scheduled: bool = False
) -> None:
    """Check a content, and that the services which its type requires are on, for a new task or schedule.

    Relative times count from `now`. Raises LunaError INVALID_JSON, IMAGE_STORE_DISABLED, HANDLERS_DISABLED and those of
    the type. TASKS_DISABLED while tasks are off, LICENSE_PROBLEM.
    """
    part_check(TASKS)
    license_require()
    if task_type.needs.image_store:
        part_check(IMAGE_STORE)
    if task_type.needs.handlers:
        part_check(HANDLERS)
    task_type.check(checked_data(task_type.Content, content, path=PATH, now=now), scope=scope, scheduled=scheduled)
