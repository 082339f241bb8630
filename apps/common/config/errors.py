"""What is wrong with a setting, in one sentence for the operator."""

from django.core.exceptions import ImproperlyConfigured


class SettingsError(ImproperlyConfigured):
    """A value that cannot be used: the text names the variable, the value and the accepted range."""
