"""Checks that every process of the platform runs before it starts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.checks import run_checks

from apps.common.config import SettingsError
from luna.embedded.secrets import VarDirError


@contextmanager
def readable_settings() -> Iterator[None]:
    """End the process with one sentence, not a traceback, for an invalid setting or an unusable var directory."""
    try:
        yield
    except (SettingsError, VarDirError) as error:
        sys.exit(f"Luna cannot start: {error}")


def require_checks() -> None:
    """Run Django's system checks; end the process with one sentence per error."""
    errors = [str(message.msg) for message in run_checks() if message.is_serious()]
    if errors:
        sys.exit(f"Luna cannot start: {' '.join(errors)}")
