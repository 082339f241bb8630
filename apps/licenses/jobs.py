"""Periodic jobs of licences."""

import logging

from celery import shared_task

from apps.licenses.selectors import is_open, license_state
from apps.licenses.services import charges_prune

logger = logging.getLogger(__name__)


@shared_task(name="licenses.watch", ignore_result=True)
def watch() -> None:
    """Log the notices of the licence, and delete old keys of charges. Runs daily."""
    if is_open():
        return
    state = license_state()
    for notice in state.notices:
        logger.warning("%s", notice)
    if state.period_rest_s is not None:
        logger.info("license_period_rest: %d s", state.period_rest_s)
    charges_prune()
