"""`manage.py serve`: the whole platform in the foreground, with detectors and estimators switched on and off."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.recognition.switches import SWITCHES, variable
from luna.embedded import commands
from luna.embedded.addresses import var_dir
from luna.embedded.processes import EmbeddedError

ALL = "all-estimators-by-default"


class Command(BaseCommand):
    help = "Runs the platform as `make run` does. Options win over the environment's LUNA_ENABLE_… of the same name."
    requires_system_checks: list[str] = []  # the database may not be there yet

    def add_arguments(self, parser: CommandParser) -> None:
        for switch in (ALL, *SWITCHES):
            parser.add_argument(f"--enable-{switch}", dest=variable(switch), choices=("0", "1"), metavar="0|1")

    def handle(self, *args: Any, **options: Any) -> None:
        """Until Ctrl-C or SIGTERM. What it starts finds the choice in its environment."""
        os.environ.update({name: value for name, value in options.items() if name.startswith("LUNA_ENABLE_") and value})
        try:
            commands.run(var_dir())
        except EmbeddedError as error:
            raise CommandError(f"{error}") from error
