"""Filters of tasks, their errors and schedules: terms of the filter language."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from apps.common.fields import WholeNumberField, account_field
from apps.common.filters.kinds import TIME_KIND, Kind, text, whole
from apps.common.filters.operators import EQUAL, ONE_OF
from apps.common.filters.serializers import FilterSerializer, Terms
from apps.common.filters.terms import TERMS, Term, bounds
from apps.tasks.choices import ScheduleStatus, TaskKind, TaskStatus
from apps.tasks.types.registry import task_type_named

MAX_ID = 2**63 - 1
NAMES = {kind.name.lower(): kind.value for kind in TaskKind}
SCHEDULE_STATUSES = {"started": ScheduleStatus.STARTED, "stopped": ScheduleStatus.STOPPED}


class WordField(WholeNumberField):
    """A number, or its word."""

    def __init__(self, *, words: dict[str, int], **kwargs: Any) -> None:
        self.words = words
        shown = ", ".join(f"{number} {word}" for word, number in words.items())
        super().__init__(**{"min_value": 0, "max_value": 2**31 - 1, "help_text": f"{shown}; or the word", **kwargs})

    def to_internal_value(self, data: Any) -> int:
        return super().to_internal_value(self.words.get(data.lower(), data) if isinstance(data, str) else data)


@extend_schema_field(OpenApiTypes.STR)
class TaskTypeField(WordField):
    """The number or the name of a type of tasks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(words=NAMES, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        found = task_type_named(data) if isinstance(data, str) else None  # of the user too
        return super().to_internal_value(data) if found is None else found.number


TYPE = Kind(TaskTypeField)
STATUS = Kind(lambda **kwargs: WordField(words={each.name.lower(): each.value for each in TaskStatus}, **kwargs))
SCHEDULE_STATUS = Kind(lambda **kwargs: WordField(words=dict(SCHEDULE_STATUSES), **kwargs))
ID = whole(0, MAX_ID)


def _terms(*own: Term) -> Terms:
    return {term.name: term for term in own}


TASK_TERMS: Terms = _terms(
    TERMS["create_time__gte"],
    TERMS["create_time__lt"],
    Term("task_ids", "task_id", ONE_OF, ID),
    Term("task_type", "task_type", ONE_OF, TYPE),
    Term("task_status", "task_status", ONE_OF, STATUS),
    Term("schedule_id", "schedule_id", ONE_OF, ID),
    Term("description", "description", EQUAL, text(128, blank=True)),
    *bounds("end_time", TIME_KIND),
    *bounds("last_update_time", TIME_KIND),
)
"""Filters of GET /6/tasks."""

ERROR_TERMS: Terms = _terms(
    Term("error_ids", "error_id", ONE_OF, ID),
    Term("task_id", "task_id", ONE_OF, ID),
    Term("subtask_id", "subtask_id", ONE_OF, ID),
    Term("error_code", "error_code", ONE_OF, whole(0, 2**31 - 1)),
    *bounds("error_time", TIME_KIND),
)
"""Filters of GET /6/tasks/errors."""

SCHEDULE_TERMS: Terms = _terms(
    Term("schedule_ids", "schedule_id", ONE_OF, ID),
    Term("task_type", "task_type", ONE_OF, TYPE),
    Term("status", "status", ONE_OF, SCHEDULE_STATUS),
)
"""Filters of GET /6/tasks/schedules."""


class TaskFilterSerializer(FilterSerializer):
    """Which tasks. Times can be relative: `now-7d`."""

    terms = TASK_TERMS
    account_id = account_field()


class ErrorFilterSerializer(FilterSerializer):
    """Which errors of tasks. Times can be relative: `now-7d`."""

    terms = ERROR_TERMS
    account_id = account_field()


class ScheduleFilterSerializer(FilterSerializer):
    """Which schedules."""

    terms = SCHEDULE_TERMS
    account_id = account_field()
