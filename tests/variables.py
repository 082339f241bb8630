"""Variables of the environment that cannot be used."""

import pytest

from apps.common.config import Settings, SettingsError, config, door


def refusal(group: type[Settings], variable: str, text: str) -> str:
    """Return the message with which the settings of a group are refused."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(door, "_current", {})
        patched.setenv(variable, text)
        with pytest.raises(SettingsError) as raised:
            config(group)
    return str(raised.value)
