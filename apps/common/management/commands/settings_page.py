"""`manage.py settings_page`: print the settings tables, or update them in a document."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.config.page import settings_page, with_settings_page


class Command(BaseCommand):
    help = "Print the settings tables, or replace them in --file (docs/operations.md)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path | None = options["file"]
        if file is None:
            self.stdout.write(settings_page())
            return
        try:
            file.write_text(with_settings_page(file.read_text()))
        except ValueError as error:
            raise CommandError(f"{file}: {error}.") from error
