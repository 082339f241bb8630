"""Settings of faces."""

from pydantic import model_validator

from apps.common.config import Scope, Settings, config, group, ordered, setting


@group("ATTRIBUTES_STORAGE_POLICY", scope=Scope.LIVE)
class AttributesStoragePolicy(Settings):
    """Lifetimes of temporary attributes."""

    default_ttl: int = setting(300, "Default lifetime in seconds, for requests without `ttl`.", ge=1)
    max_ttl: int = setting(86_400, "Maximum lifetime in seconds.", ge=1, le=365 * 86_400)

    @model_validator(mode="after")
    def _default_fits(self) -> "AttributesStoragePolicy":
        return ordered(self, "ATTRIBUTES_STORAGE_POLICY", "default_ttl", "max_ttl")


def default_ttl_s() -> int:
    """Return the default lifetime of a temporary attribute in seconds."""
    return config(AttributesStoragePolicy).default_ttl


def max_ttl_s() -> int:
    """Return the maximum lifetime of a temporary attribute in seconds."""
    return config(AttributesStoragePolicy).max_ttl
