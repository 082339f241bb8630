"""The settings that Django loads: `luna.settings`; tests load `luna.settings.test`."""

from luna.settings.base import *  # noqa: F403
