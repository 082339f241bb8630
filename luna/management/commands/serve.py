"""`manage.py serve`: run the platform in the foreground, with detectors and estimators enabled by options."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.recognition.switches import SWITCHES, variable
from luna.embedded import commands
from luna.embedded.addresses import var_dir
from luna.embedded.processes import EmbeddedError

ALL = "all-estimators-by-default"


class Command(BaseCommand):
    help = "Run the platform in the foreground, as `make run` does. Options override the variables LUNA_ENABLE_…."
    requires_system_checks: list[str] = []  # the database may not run yet

    def add_arguments(self, parser: CommandParser) -> None:
        for switch in (ALL, *SWITCHES):
            parser.add_argument(f"--enable-{switch}", dest=variable(switch), choices=("0", "1"), metavar="0|1")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C or SIGTERM. The environment passes the choice to the started processes."""
        os.environ.update({name: value for name, value in options.items() if name.startswith("LUNA_ENABLE_") and value})
        try:
            commands.run(var_dir())
        except EmbeddedError as error:
            raise CommandError(f"{error}") from error
