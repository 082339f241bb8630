"""Periodic jobs of accounts."""

from celery import shared_task
from django.core.management import call_command

from apps.accounts.erasure import account_erase, accounts_to_erase


@shared_task(name="accounts.audit_prune", ignore_result=True)
def audit_prune() -> None:
    """Remove audit lines older than LUNA_AUDIT_RETENTION_DAYS. Runs daily."""
    call_command("audit_prune")


@shared_task(name="accounts.erase", ignore_result=True)
def erase() -> None:
    """Continue interrupted erasures of accounts. Runs every ten minutes."""
    for account_id in accounts_to_erase():
        account_erase(account_id=account_id)
