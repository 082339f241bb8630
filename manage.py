#!/usr/bin/env python
"""Django's command line: `python manage.py help` lists the commands."""

import os
import sys

from django.core.management import execute_from_command_line

from apps.common.config import SettingsError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "luna.settings")
    try:
        execute_from_command_line(sys.argv)
    except SettingsError as error:
        sys.exit(f"Luna cannot start: {error}")
