"""Periodic jobs of tasks."""

from celery import shared_task

from apps.common.config import AdditionalServices, config
from apps.tasks.schedules.runs import schedules_fire


@shared_task(name="tasks.schedules", ignore_result=True)
def schedules() -> None:
    """Create the tasks of due schedules. Runs every five seconds; several processes at once do no harm."""
    if config(AdditionalServices).luna_tasks:
        schedules_fire()
