"""The settings module of Django; tests use `tests.settings`."""

from luna.settings.base import *  # noqa: F403
