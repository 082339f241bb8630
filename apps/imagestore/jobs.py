"""Periodic work of the Image Store."""

import logging

from celery import shared_task

from apps.imagestore.buckets import expired_delete

logger = logging.getLogger(__name__)


@shared_task(name="imagestore.clean_up", ignore_result=True)
def clean_up() -> None:
    """Removes what has expired. Started daily everywhere, it works in one place."""
    removed = expired_delete()
    logger.info("clean-up: %s", "another process is at it" if removed is None else f"{removed} objects removed")
