"""`manage.py settings_schema`: print the JSON Schemas of the groups of settings."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.config import GROUPS


class Command(BaseCommand):
    help = (
        "Print the JSON Schema of a group of settings, or of all groups by name. `env`: the variables; `scope`: when a "
        "change takes effect."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("group", nargs="?", help="the name of a group, such as LUNA_LOGINS")

    def handle(self, *args: Any, **options: Any) -> None:
        schemas = {group.name: group.schema for group in GROUPS.values()}
        name: str | None = options["group"]
        if name is not None and name not in schemas:
            raise CommandError(f"{name} is not a group of settings; the groups are {', '.join(sorted(schemas))}.")
        self.stdout.write(json.dumps(schemas[name] if name else schemas, indent=2))
