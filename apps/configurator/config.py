"""Settings of the Configurator: which stored values a process uses, and how often it looks for changes."""

from typing import Annotated

from pydantic import StringConstraints

from apps.common.config import Scope, Settings, group, setting

TAG = r"^[^=,]{1,128}=[^=,]{1,128}$"


@group("LUNA_CONFIGURATOR", scope=Scope.START, stored=False)
class Configurator(Settings):
    """Stored settings in the processes of this instance."""

    use_stored: bool = setting(
        True,
        "Whether stored settings are used. Otherwise the processes have only the environment and the defaults, for a "
        "start that a stored value prevents.",
        env="LUNA_CONFIG_STORED",
    )
    config_reload: bool = setting(
        True,
        "Whether running processes apply changed settings. Otherwise they apply them at their next start.",
        env=("LUNA_CONFIG_RELOAD", "RELOAD_CONFIG"),
    )
    pulling_time: float = setting(
        10.0,
        "Seconds after which a process looks for changed settings.",
        env=("LUNA_PULLING_TIME", "RELOAD_CONFIG_INTERVAL"),
        ge=0.1,
        le=3600,
    )
    tags: tuple[Annotated[str, StringConstraints(pattern=TAG)], ...] = setting(
        (),
        "Tagged values that this instance uses instead of the default ones.",
        env="LUNA_CONFIG_TAGS",
        accepts="a list of `SETTING=tag`, separated by commas",
    )

    @property
    def tags_by_name(self) -> dict[str, str]:
        """The tag of each setting that has one."""
        return dict(each.split("=", 1) for each in self.tags)


@group("LUNA_SETTINGS_HISTORY", scope=Scope.LIVE)
class History(Settings):
    """The history of stored settings."""

    retention_days: int = setting(
        365,
        "Days for which changes of settings are kept and can be undone; 0 keeps them for ever.",
        ge=0,
        le=36_500,
    )
