"""`manage.py settings_dump`: write all settings into a file."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.configurator.dumps import dump


class Command(BaseCommand):
    help = "Write limitations, settings and groups as JSON, without secrets."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", help="file to write; otherwise the standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        text = json.dumps(dump(), indent=2, ensure_ascii=False)
        if options["file"]:
            with open(options["file"], "w", encoding="utf-8") as out:
                out.write(text + "\n")
        else:
            self.stdout.write(text)
