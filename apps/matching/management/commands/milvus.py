"""`manage.py milvus`: show, build or drop the copies of lists in Milvus."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.matching.milvus.store import MilvusError, milvus
from apps.matching.milvus.sync import Sync


class Command(BaseCommand):
    help = "Show the lists in Milvus, synchronize them now, or drop all collections of the platform."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("status", "build", "drop"))

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            store = milvus()
        except MilvusError as error:
            raise CommandError(str(error)) from error
        if options["action"] == "drop":
            store.drop()
        if options["action"] == "build" and not Sync(store).step():
            raise CommandError("Another process synchronizes the lists: it looks at them every few seconds.")
        entries = store.entries()
        for entry in entries:
            self.stdout.write(
                f"{entry.list_id}  version {entry.version}  {store.rows_count(entry)} faces  {entry.state}"
            )
        self.stdout.write(f"{len(entries)} copies of lists in Milvus")
