"""Constants of this installation in Django's settings, which operators cannot change."""

from django.conf import settings


def version() -> str:
    """Return the version of the platform, such as "0.1.0"."""
    return str(settings.LUNA_VERSION)


def web_processes() -> int:
    """Return the number of web processes, which share the processors of this machine."""
    return int(settings.LUNA_WEB_PROCESSES)
