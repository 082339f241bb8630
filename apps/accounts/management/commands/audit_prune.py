"""`manage.py audit_prune`: remove old audit lines. A Celery job runs it daily."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.audit import audit_prune
from apps.accounts.auth.logins import ACTIONS
from apps.accounts.config import Audit
from apps.common.config import config
from apps.common.times import utc_now


class Command(BaseCommand):
    help = (
        "Remove audit lines older than --days (default: LUNA_AUDIT_RETENTION_DAYS; 0 keeps all lines), and those of "
        "logins older than --login-days (default: LUNA_AUDIT_LOGIN_RETENTION_DAYS; 0: as other lines)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=config(Audit).retention_days)
        parser.add_argument("--login-days", type=int, default=config(Audit).login_retention_days)

    def handle(self, *args: Any, **options: Any) -> None:
        for name, what, actions in (("login_days", "audit lines of logins", ACTIONS), ("days", "audit lines", None)):
            days: int = options[name]
            if days < 0:
                raise CommandError(f"`--{name.replace('_', '-')}` must be 0 or more, got {days}.")
            if days:
                removed = audit_prune(before=utc_now() - timedelta(days=days), actions=actions)
                self.stdout.write(f"Removed {removed} {what} older than {days} days.")
        if not options["days"]:
            self.stdout.write("Other audit lines are kept for ever.")
