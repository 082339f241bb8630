"""The settings that Django loads: `luna.settings`; tests load `tests.settings`."""

from luna.settings.base import *  # noqa: F403
