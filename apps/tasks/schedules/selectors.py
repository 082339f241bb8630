"""Reads of schedules."""

from django.db.models import QuerySet

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.filters import Filters, to_q
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.tasks.models import Schedule
from apps.tasks.terms import MAX_ID, SCHEDULE_TERMS


def schedule_get(*, scope: Scope, schedule_id: int) -> Schedule:
    """Return a schedule in the scope. Raises LunaError SCHEDULE_NOT_FOUND."""
    rows = Schedule.objects.for_scope(scope)
    found: Schedule | None = rows.filter(schedule_id=schedule_id).first() if 0 < schedule_id <= MAX_ID else None
    if found is None:
        raise LunaError(errors.SCHEDULE_NOT_FOUND, schedule_id)
    return found


def schedules_filter(*, scope: Scope, filters: Filters) -> QuerySet[Schedule]:
    """Return the schedules in the scope that pass the filters, in no order."""
    rows: QuerySet[Schedule] = Schedule.objects.for_scope(scope).filter(to_q(filters, SCHEDULE_TERMS))
    return rows


def schedules_page(*, scope: Scope, filters: Filters, page: Page) -> list[Schedule]:
    """Return a page of schedules, the newest first."""
    return [*schedules_filter(scope=scope, filters=filters).order_by("-schedule_id")[page.slice]]
