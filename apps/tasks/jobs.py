"""Periodic jobs of tasks."""

from celery import shared_task

from apps.common.parts import TASKS, part_is_on
from apps.tasks.consistency import results_check
from apps.tasks.schedules.runs import schedules_fire


@shared_task(name="tasks.schedules", ignore_result=True)
def schedules() -> None:
    """Create the tasks of due schedules. Runs every five seconds; several processes at once do no harm."""
    if part_is_on(TASKS):
        schedules_fire()


@shared_task(name="tasks.results", ignore_result=True)
def results() -> None:
    """Delete the results that killed workers left without a task. Runs every ten minutes."""
    for fault in results_check(deep=False):
        if fault.mend is not None:
            fault.mend()
