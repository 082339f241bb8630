"""`manage.py manual_settings_page`: generate `docs/settings.md`."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.configurator.page import manual_settings_page


class Command(BaseCommand):
    help = "Generate the page of the settings of LUNA PLATFORM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", help="file to write; otherwise the standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["file"]:
            Path(options["file"]).write_text(manual_settings_page())
        else:
            self.stdout.write(manual_settings_page(), ending="")
