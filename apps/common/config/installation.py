"""Constants of this installation in Django's settings, which operators cannot change."""

from django.conf import settings


def version() -> str:
    """Return the version of the platform, such as "0.1.0"."""
    return str(settings.LUNA_VERSION)
