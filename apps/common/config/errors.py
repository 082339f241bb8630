"""Errors of settings, in one sentence for the operator."""

from django.core.exceptions import ImproperlyConfigured


class SettingsError(ImproperlyConfigured):
    """An invalid value. The message names the variable, the value and the accepted range."""
