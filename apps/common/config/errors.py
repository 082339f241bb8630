"""Errors of settings, in one sentence for the operator."""

from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured


class SettingsError(ImproperlyConfigured):
    """An invalid value. The message names the variable, the value and the accepted range.

    `by_path`: one sentence per invalid value of a group, by its path with dots; empty for another error.
    """

    def __init__(self, text: str, by_path: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.by_path = dict(by_path or {})
