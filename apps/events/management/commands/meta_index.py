"""`manage.py meta_index`: indexes of paths of `meta`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.events.meta_index import MetaIndexError, meta_index_create, meta_index_drop, meta_indexes


class Command(BaseCommand):
    help = "Create, drop or list indexes of paths of the events' `meta`, such as `user.name` or `temperature:numeric`."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("create", "drop", "list"))
        parser.add_argument("path", nargs="?", help="names separated by points; `:numeric` for comparisons of numbers")

    def handle(self, *args: Any, action: str, path: str | None, **options: Any) -> None:
        """Run the action. Raises CommandError for an invalid path."""
        if action == "list":
            for each in meta_indexes():
                self.stdout.write(each.path if each.complete else f"{each.path} (not complete: create it again)")
            return
        if path is None:
            raise CommandError(f"`{action}` needs a path.")
        try:
            (meta_index_create if action == "create" else meta_index_drop)(path)
        except MetaIndexError as error:
            raise CommandError(str(error)) from error
