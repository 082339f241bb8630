"""Checks that every process of the platform runs before it starts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.checks import run_checks

from apps.common.config import SettingsError


@contextmanager
def readable_settings() -> Iterator[None]:
    """End the process with one sentence, instead of a traceback, when a setting is invalid."""
    try:
        yield
    except SettingsError as error:
        sys.exit(f"Luna cannot start: {error}")


def require_checks() -> None:
    """Run Django's system checks; end the process with one sentence per error."""
    errors = [str(message.msg) for message in run_checks() if message.is_serious()]
    if errors:
        sys.exit(f"Luna cannot start: {' '.join(errors)}")
