"""`manage.py callbacks`: list, replay or drop callbacks that are not delivered."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.times import format_time
from apps.sender.models import Callback
from apps.sender.outbox import callbacks_drop, callbacks_replay


class Command(BaseCommand):
    help = "List callbacks that are not delivered, replay dead letters, or drop callbacks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("list", "replay", "drop"))
        parser.add_argument("callback_ids", nargs="*", type=UUID, metavar="ID")
        parser.add_argument("--all", action="store_true", help="All dead letters, of --account if it is given.")
        parser.add_argument("--account", type=UUID, metavar="ID", help="Only callbacks of this account.")
        parser.add_argument("--pending", action="store_true", help="List the waiting callbacks, not the dead letters.")
        parser.add_argument("--limit", type=int, default=100, help="Longest list (default: 100).")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = Callback.objects.unscoped().filter(dead_time__isnull=options["pending"])
        if options["account"]:
            rows = rows.filter(account_id=options["account"])
        if options["action"] == "list":
            self._list(rows, options["limit"])
            return
        if bool(options["callback_ids"]) == options["all"]:
            raise CommandError("Give ids of callbacks, or --all.")
        chosen = options["callback_ids"] or list(rows.values_list("callback_id", flat=True))
        if options["action"] == "replay":
            self.stdout.write(f"{callbacks_replay(callback_ids=chosen)} callbacks are delivered again.")
        else:
            self.stdout.write(f"{callbacks_drop(callback_ids=chosen)} callbacks dropped.")

    def _list(self, rows: Any, limit: int) -> None:
        for row in rows.defer("payload", "target").order_by("-pk")[:limit]:
            self.stdout.write(
                f"{row.callback_id}  account {row.account_id}  {row.kind} {row.place}  {format_time(row.create_time)}  "
                f"{row.attempts} attempts  {row.error or 'no error'}"
            )
        self.stdout.write(f"{rows.count()} callbacks")
