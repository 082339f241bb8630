"""Constants of this installation in Django's settings, which operators cannot change."""

from django.conf import settings


def web_processes() -> int:
    """Return the number of web processes, which share the processors of this machine."""
    return int(settings.LUNA_WEB_PROCESSES)
