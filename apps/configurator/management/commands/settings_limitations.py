"""`manage.py settings_limitations`: write the limitations of services into a file."""

import json
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.errors import LunaError
from apps.configurator.dumps import limitations_file


class Command(BaseCommand):
    help = "Write the limitations of services, without settings, as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--service", nargs="+", required=True, help="names of services, such as luna-handlers")
        parser.add_argument("--output", default=".", help="file, or directory of {timestamp}_limitation.json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file. Raises CommandError for an unknown service or a path that cannot be written."""
        path = Path(options["output"])
        if path.is_dir():
            path /= f"{int(time.time())}_limitation.json"
        try:
            path.write_text(json.dumps(limitations_file(options["service"]), indent=2, ensure_ascii=False) + "\n")
        except LunaError as error:
            raise CommandError(error.detail) from error
        except OSError as error:
            raise CommandError(f"{error}") from error
        self.stdout.write(f"Wrote {path}")
