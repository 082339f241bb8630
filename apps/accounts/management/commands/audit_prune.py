"""`manage.py audit_prune`: remove old audit lines. A Celery job runs it daily."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.audit import audit_prune
from apps.accounts.config import Audit
from apps.common.config import config
from apps.common.times import utc_now


class Command(BaseCommand):
    help = "Remove audit lines older than --days (default: LUNA_AUDIT_RETENTION_DAYS; 0 keeps all lines)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=config(Audit).retention_days)

    def handle(self, *args: Any, **options: Any) -> None:
        days: int = options["days"]
        if days < 0:
            raise CommandError(f"`--days` must be 0 or more, got {days}.")
        if days == 0:
            self.stdout.write("Audit lines are kept for ever.")
            return
        removed = audit_prune(before=utc_now() - timedelta(days=days))
        self.stdout.write(f"Removed {removed} audit lines older than {days} days.")
