"""`manage.py serve`: run the platform in the foreground, with estimators and tags of settings chosen by options."""

import os
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.common.config import GROUPS, config
from apps.configurator.config import Configurator
from apps.recognition.switches import SWITCHES, variable
from luna.embedded import commands
from luna.embedded.addresses import var_dir
from luna.embedded.processes import EmbeddedError

ALL = "all-estimators-by-default"


def tagged_names() -> list[str]:
    """Return the names of the settings whose values may be stored."""
    return sorted(group.name for group in GROUPS.values() if group.stored)


def stored_settings(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of `LUNA_CONFIGURATOR` for the options. Tags of options precede those of the environment."""
    tags = dict(config(Configurator).tags_by_name)
    tags |= {name: options[name] for name in tagged_names() if options[name]}
    found = {"LUNA_CONFIG_TAGS": ",".join(f"{name}={tag}" for name, tag in tags.items())}
    found |= {
        variable: str(options[option])
        for option, variable in (("config_reload", "LUNA_CONFIG_RELOAD"), ("pulling_time", "LUNA_PULLING_TIME"))
        if options[option] is not None
    }
    return {name: value for name, value in found.items() if value}


class Command(BaseCommand):
    help = "Run the platform in the foreground, as `make run` does. Options override the variables LUNA_ENABLE_…."
    requires_system_checks: list[str] = []  # the database may not run yet

    def add_arguments(self, parser: CommandParser) -> None:
        for switch in (ALL, *SWITCHES):
            parser.add_argument(f"--enable-{switch}", dest=variable(switch), choices=("0", "1"), metavar="0|1")
        parser.add_argument("--config-reload", choices=("0", "1"), nargs="?", const="1", metavar="0|1")
        parser.add_argument("--pulling-time", type=float, metavar="SECONDS")
        for name in tagged_names():
            parser.add_argument(f"--{name}", dest=name, metavar="TAG", help="tag of the stored value to use")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C or SIGTERM. The environment passes the choice to the started processes."""
        os.environ.update({name: value for name, value in options.items() if name.startswith("LUNA_ENABLE_") and value})
        os.environ.update(stored_settings(options))
        try:
            commands.run(var_dir())
        except EmbeddedError as error:
            raise CommandError(f"{error}") from error
