"""`manage.py settings_load`: apply a dump, a limitation file, or a file with settings only."""

from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.configurator.dumps import DumpError, load


class Command(BaseCommand):
    help = "Apply a dump of settings in one transaction. If one value is invalid, nothing changes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="file of `settings_dump`, `GET /1/dump` or `settings_limitations`")

    def handle(self, *args: Any, **options: Any) -> None:
        """Load the file and print what was written. Raises CommandError with all problems."""
        try:
            with open(options["file"], "rb") as file:
                content = orjson.loads(file.read())
        except OSError as error:
            raise CommandError(f"{error}") from error
        except orjson.JSONDecodeError as error:
            raise CommandError(f"{options['file']} is not JSON: {error}. Nothing has changed.") from error
        try:
            loaded = load(content)
        except DumpError as error:
            raise CommandError(f"Nothing has changed.\n{error}") from error
        self.stdout.write(
            f"Loaded {len(loaded.settings)} settings, {len(loaded.limitations)} limitations of other software and "
            f"{len(loaded.groups)} groups."
        )
        if loaded.skipped:
            names = ", ".join(dict.fromkeys(loaded.skipped))
            self.stdout.write(f"Skipped, see docs/settings.md for their counterparts: {names}.")
