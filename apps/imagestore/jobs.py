"""Periodic jobs of the Image Store."""

import logging

from celery import shared_task

from apps.imagestore.buckets import expired_delete

logger = logging.getLogger(__name__)


@shared_task(name="imagestore.clean_up", ignore_result=True)
def clean_up() -> None:
    """Remove expired objects. Runs daily; a lock ensures that only one process works."""
    removed = expired_delete()
    logger.info("Clean-up: %s", "another process runs it" if removed is None else f"{removed} objects removed")
