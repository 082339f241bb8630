"""System checks of the environment."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Warning

from apps.common.config.environment import unknown_variables


def environment_check(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Report unknown `LUNA_…` variables: an error for a misspelt known name, a warning otherwise."""
    return list(_unknown())


def _unknown() -> Iterator[CheckMessage]:
    for name, nearest, misspelt in unknown_variables(os.environ):
        if misspelt:
            yield Error(f"{name} is not a setting: write {nearest}, or remove it.", id="luna.E001")
        else:
            hint = f" The most similar name is {nearest}." if nearest else ""
            yield Warning(f"{name} is not a setting and has no effect.{hint}", id="luna.W001")
