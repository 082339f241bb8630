"""The composition root: it joins the rooms into one Django project."""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 11):  # noqa: UP036 - every process imports this module first, also with an older Python
    sys.exit(f"Luna needs Python 3.11 or newer, this is Python {sys.version_info[0]}.{sys.version_info[1]}.")
