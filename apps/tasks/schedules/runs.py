"""Runs of schedules: each creates a task. A periodic job calls `schedules_fire`.

One transaction creates the task and moves `next_run_at`: a process that is killed, and two processes at once, neither
lose nor double a run.
"""

import logging
from datetime import datetime, timedelta

from django.db import DatabaseError, transaction
from django.db.models import Q

from apps.accounts.auth.principal import Actor
from apps.common import errors
from apps.common.config import config
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.tasks.choices import ScheduleStatus, TaskStatus
from apps.tasks.config import Schedules
from apps.tasks.machine.runs import error_row
from apps.tasks.models import Schedule, Task
from apps.tasks.notifications import task_changed
from apps.tasks.schedules.cron import next_run, zone_of
from apps.tasks.secrets import content_open
from apps.tasks.services import TaskDraft, task_create
from apps.tasks.types.registry import task_types

logger = logging.getLogger(__name__)


def schedules_fire(now: datetime | None = None) -> int:
    """Create the tasks of due schedules, and return their number. Schedules of suspended accounts wait."""
    now, fired = now or utc_now(), 0
    while (created := _fire_one(now)) is not None:
        fired += created
    return fired


@transaction.atomic
def _fire_one(now: datetime) -> bool | None:
    """Run a due schedule; return whether it created a task, None if no schedule is due."""
    schedule: Schedule | None = (
        Schedule.objects.unscoped()
        .select_for_update(of=("self",), skip_locked=True)
        .filter(Q(account__isnull=True) | Q(account__is_active=True))
        .filter(status=ScheduleStatus.STARTED, next_run_at__lte=now)
        .order_by("next_run_at")
        .first()
    )
    if schedule is None or schedule.next_run_at is None:
        return None
    due, settings = schedule.next_run_at, config(Schedules)
    missed = now - due > timedelta(seconds=settings.missed_after)
    created = not missed or settings.missed_runs == "once"
    if created:
        schedule_run(schedule)
    else:
        logger.warning("Schedule %d: the run of %s was missed and is left out", schedule.schedule_id, due)
    schedule.next_run_at = next_run(schedule.trigger, zone_of(schedule.time_zone), now)
    schedule.save(update_fields=("next_run_at",))
    return created


def schedule_run(schedule: Schedule) -> Task:
    """Create the next task of a schedule, in the caller's transaction; a failed one if it cannot be created."""
    actor = Actor(schedule.creator_id, schedule.token_id, schedule.remote_address)
    kind = task_types().get(schedule.task_type)
    try:
        with transaction.atomic():
            if kind is None:
                raise LunaError(errors.INVALID_JSON, f"Tasks of the type {schedule.task_type} are not available.")
            draft = TaskDraft(
                content=content_open(kind, schedule.content),
                description=schedule.description,
                result_ttl_days=schedule.result_ttl_days,
                schedule_id=schedule.schedule_id,
            )
            task = task_create(task_type=kind, account_id=schedule.account_id, draft=draft, actor=actor)
            task.notification_policy = schedule.notification_policy  # sealed already
            task.save(update_fields=("notification_policy",))
            return task
    except DatabaseError:
        raise
    except LunaError as error:
        return _failed(schedule, error, actor)
    except Exception as error:  # one schedule must not stop the others
        logger.exception("Schedule %d cannot create its task", schedule.schedule_id)
        return _failed(schedule, LunaError(errors.UNHANDLED_EXCEPTION, type(error).__name__), actor)


def _failed(schedule: Schedule, error: LunaError, actor: Actor) -> Task:
    now = utc_now()
    task: Task = Task.objects.create(
        account_id=schedule.account_id,
        task_type=schedule.task_type,
        task_status=TaskStatus.FAILED,
        create_time=now,
        end_time=now,
        last_update_time=now,
        content=schedule.content,
        description=schedule.description,
        result_ttl_days=schedule.result_ttl_days,
        notification_policy=schedule.notification_policy,
        schedule_id=schedule.schedule_id,
        count_errors=1,
        creator_id=actor.account_id,
        token_id=actor.token_id,
        remote_address=actor.remote_address,
    )
    error_row(error, task_id=task.task_id, subtask_id=None).save()
    task_changed(task)
    return task
