#!/usr/bin/env python
"""Django's command line: `python manage.py help` lists the commands."""

import os
import sys

from django.core.management import execute_from_command_line

from luna.startup import readable_settings

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "luna.settings")
    if "settings_reset" in sys.argv[1:2]:  # a stored value may prevent the start of every other command
        os.environ["LUNA_CONFIG_STORED"] = "false"
    with readable_settings():
        execute_from_command_line(sys.argv)
