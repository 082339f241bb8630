"""`manage.py thin_tables`: show, build or drop the tables of the plugins `thin_event` and `thin_face`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from apps.common.thin import ThinTable
from apps.events.thin import THIN_EVENTS
from apps.faces.thin import THIN_FACES

BOTH = "both"
TABLES = {table.name: table for table in (THIN_EVENTS, THIN_FACES)}


class Command(BaseCommand):
    help = "Show, build or drop the thin tables, which the matching plugins `thin_event` and `thin_face` search."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("status", "build", "drop"))
        parser.add_argument("table", choices=(*TABLES, BOTH), nargs="?", default=BOTH)

    def handle(self, *args: Any, **options: Any) -> None:
        for name, table in TABLES.items():
            if options["table"] not in (name, BOTH):
                continue
            if options["action"] == "build":
                self._build(table)
            if options["action"] == "drop":
                table.drop()
            copied, every = table.rows()
            state = "complete" if table.is_complete() else "not in use"
            self.stdout.write(f"{name}: {state}, {copied} of {every} descriptors")

    def _build(self, table: ThinTable) -> None:
        _, every = table.rows()
        with tqdm(total=every, unit="descriptor", desc=table.name, disable=None) as bar:
            for count in table.build():
                bar.update(count)
