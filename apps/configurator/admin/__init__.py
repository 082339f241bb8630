"""Pages of the Configurator in the admin site."""

from apps.configurator.admin import changes, groups, limitations, settings

__all__ = ["changes", "groups", "limitations", "settings"]
