"""Periodic work of the accounts."""

from celery import shared_task
from django.core.management import call_command


@shared_task(name="accounts.audit_prune", ignore_result=True)
def audit_prune() -> None:
    """Ends the retention of audit lines older than LUNA_AUDIT_RETENTION_DAYS. Started daily."""
    call_command("audit_prune")
