"""Checks that every process of the platform runs before it starts."""

import sys

from django.core.checks import run_checks


def require_checks() -> None:
    """Run Django's system checks; end the process with one sentence per error."""
    errors = [str(message.msg) for message in run_checks() if message.is_serious()]
    if errors:
        sys.exit(f"Luna cannot start: {' '.join(errors)}")
