"""Changes of schedules by clients and operators."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.accounts.audit import audit_write
from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.imagestore.services import check_ttl
from apps.tasks.choices import CronZone, ScheduleStatus
from apps.tasks.contents import content_check
from apps.tasks.models import Schedule
from apps.tasks.notifications import policy_seal
from apps.tasks.schedules.cron import next_run, zone_of
from apps.tasks.schedules.runs import schedule_run
from apps.tasks.schedules.selectors import schedule_get
from apps.tasks.secrets import content_open, content_seal
from apps.tasks.types.base import TaskType


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDraft:
    """A schedule of a client's request, with a valid `trigger`.

    `content`: JSON as the client sent it. `time_zone`: the name of the zone that LOCAL denotes. `stopped`: None keeps
    the status of a replaced schedule. `start_immediately`: create the first task at once, unless it is stopped.
    """

    task_type: TaskType
    content: Mapping[str, Any]
    trigger: str
    trigger_timezone: CronZone = CronZone.UTC
    time_zone: str = "UTC"
    description: str = ""
    result_ttl_days: int | None = None
    notification_policy: Mapping[str, Any] | None = None
    start_immediately: bool = False
    stopped: bool | None = None


@transaction.atomic
def schedule_create(*, account_id: UUID | None, draft: ScheduleDraft, actor: Actor) -> Schedule:
    """Create a schedule. `account_id`: None for tasks of all accounts.

    Raises LunaError INVALID_JSON for a type without schedules, and the errors of `task_create`.
    """
    now = utc_now()
    schedule = Schedule(account_id=account_id, create_time=now, status=ScheduleStatus.STARTED)
    _fill(schedule, draft, actor)
    schedule.save()
    _audit("create", schedule, actor)
    _begin(schedule, draft)
    return schedule


def schedule_replace(*, scope: Scope, schedule_id: int, draft: ScheduleDraft, actor: Actor) -> Schedule:
    """Replace a schedule; masks keep its secrets. Tasks that it created stay as they are.

    Raises LunaError SCHEDULE_NOT_FOUND, and the errors of `schedule_create`.
    """
    with transaction.atomic():
        schedule = _locked(scope, schedule_id)
        _fill(schedule, draft, actor)
        schedule.save()
        _audit("update", schedule, actor)
        _begin(schedule, draft)
    return schedule


def schedule_start(*, scope: Scope, schedule_id: int, actor: Actor) -> None:
    """Start a stopped schedule: its next run is the first one from now. Raises LunaError SCHEDULE_NOT_FOUND."""
    _switch(scope, schedule_id, ScheduleStatus.STARTED, actor)


def schedule_stop(*, scope: Scope, schedule_id: int, actor: Actor) -> None:
    """Stop a schedule. Its tasks continue. Raises LunaError SCHEDULE_NOT_FOUND."""
    _switch(scope, schedule_id, ScheduleStatus.STOPPED, actor)


@transaction.atomic
def schedule_delete(*, scope: Scope, schedule_id: int, actor: Actor) -> None:
    """Delete a schedule. Its tasks remain. Raises LunaError SCHEDULE_NOT_FOUND."""
    schedule = _locked(scope, schedule_id)
    _audit("delete", schedule, actor)
    schedule.delete()


def _switch(scope: Scope, schedule_id: int, status: ScheduleStatus, actor: Actor) -> None:
    with transaction.atomic():
        schedule = _locked(scope, schedule_id)
        if schedule.status == status:
            return
        schedule.status, schedule.last_update_time = status, utc_now()
        _plan(schedule)
        schedule.save(update_fields=("status", "last_update_time", "next_run_at"))
        _audit("update", schedule, actor)


def _locked(scope: Scope, schedule_id: int) -> Schedule:
    schedule_get(scope=scope, schedule_id=schedule_id)
    rows = Schedule.objects.for_scope(scope).select_for_update(of=("self",))
    schedule: Schedule | None = rows.filter(schedule_id=schedule_id).first()
    if schedule is None:
        raise LunaError(errors.SCHEDULE_NOT_FOUND, schedule_id)
    return schedule


def _fill(schedule: Schedule, draft: ScheduleDraft, actor: Actor) -> None:
    """Set the columns of a draft after its checks."""
    kind = draft.task_type
    if not kind.schedulable:
        problem = f"Tasks of the type `{kind.name}` have no schedules."
        raise LunaError(errors.INVALID_JSON, f"{problem} Path: 'task_type'")
    check_ttl(draft.result_ttl_days)
    same_type = schedule.task_type == kind.number
    content = content_seal(kind, draft.content, schedule.content if same_type else None)
    now = utc_now()
    content_check(kind, content_open(kind, content), scope=Scope(schedule.account_id), now=now, scheduled=True)
    schedule.task_type, schedule.content = kind.number, content
    schedule.trigger, schedule.trigger_timezone = draft.trigger, draft.trigger_timezone
    schedule.time_zone = draft.time_zone if draft.trigger_timezone == CronZone.LOCAL else "UTC"
    schedule.description, schedule.result_ttl_days = draft.description, draft.result_ttl_days
    schedule.notification_policy = policy_seal(draft.notification_policy, schedule.notification_policy)
    schedule.creator_id, schedule.token_id = actor.account_id, actor.token_id
    schedule.remote_address = actor.remote_address
    schedule.last_update_time = now
    if draft.stopped is not None:
        schedule.status = ScheduleStatus.STOPPED if draft.stopped else ScheduleStatus.STARTED
    _plan(schedule)


def _plan(schedule: Schedule) -> None:
    started = schedule.status == ScheduleStatus.STARTED
    schedule.next_run_at = next_run(schedule.trigger, zone_of(schedule.time_zone), utc_now()) if started else None


def _begin(schedule: Schedule, draft: ScheduleDraft) -> None:
    if draft.start_immediately and schedule.status == ScheduleStatus.STARTED:
        schedule_run(schedule)


def _audit(action: str, schedule: Schedule, actor: Actor) -> None:
    audit_write(
        action=action, object_type="schedule", object_id=schedule.pk, account_id=schedule.account_id, actor=actor
    )
