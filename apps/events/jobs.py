"""Periodic jobs of events."""

import logging

from celery import shared_task
from django.db import connection

from apps.events.partitions import TABLES, partitions_expire, partitions_make
from apps.events.saving import spool_recover

logger = logging.getLogger(__name__)


@shared_task(name="events.partitions", ignore_result=True)
def partitions() -> None:
    """Drop partitions after the retention time, make those ahead of time, and refresh the statistics of both tables.

    Runs daily. Autovacuum analyses partitions, but not the table that they belong to.
    """
    partitions_expire()
    if made := partitions_make():
        logger.info("Partitions made: %s", ", ".join(made))
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ANALYZE {table}")


@shared_task(name="events.recover", ignore_result=True)
def recover() -> None:
    """Store the queued events of processes that have ended. Runs every minute, and at the start of web processes."""
    spool_recover()
