"""`manage.py settings_reset`: give settings their default values, for an operator whom a value has locked out."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.errors import LunaError
from apps.configurator.services import settings_reset


class Command(BaseCommand):
    requires_system_checks = ()
    help = "Give settings their default values. The history keeps the former ones."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="+", help="names of settings, such as LUNA_WEB")

    def handle(self, *args: Any, **options: Any) -> None:
        """Reset the settings. Raises CommandError for an unknown name."""
        try:
            reset = settings_reset(names=options["name"])
        except LunaError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"Reset: {', '.join(reset)}" if reset else "All of them have their default values.")
