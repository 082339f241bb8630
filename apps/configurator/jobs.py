"""Periodic jobs of the Configurator."""

from datetime import timedelta

from celery import shared_task

from apps.common.config import config
from apps.common.times import utc_now
from apps.configurator.config import History
from apps.configurator.history import changes_prune


@shared_task(name="configurator.clean_up", ignore_result=True)
def clean_up() -> None:
    """Remove changes of settings older than LUNA_SETTINGS_HISTORY_RETENTION_DAYS. Runs daily."""
    if days := config(History).retention_days:
        changes_prune(before=utc_now() - timedelta(days=days))
