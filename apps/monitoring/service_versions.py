"""The version of LUNA PLATFORM that this platform implements.

The resource is public, so it does not name Luna's own version, which would show known faults to attackers.
"""

from collections.abc import Callable

API_VERSION, ADMIN_API_VERSION, SERVICE_API_VERSION = 6, 4, 1
PLATFORM = (5, 67, 0)  # clients derive supported features from it
# The version of the paths below which this platform has the resources of a service.
PARTS = {
    "luna-api": API_VERSION,
    "luna-faces": API_VERSION,
    "luna-events": API_VERSION,
    "luna-handlers": API_VERSION,
    "luna-remote-sdk": API_VERSION,
    "luna-image-store": SERVICE_API_VERSION,
    "luna-accounts": API_VERSION,
    "luna-sender": SERVICE_API_VERSION,
    "luna-tasks": API_VERSION,
    "luna-admin": ADMIN_API_VERSION,
    "luna-configurator": SERVICE_API_VERSION,
    "luna-licenses": SERVICE_API_VERSION,
}

_matcher: list[Callable[[], str]] = []


def register_matcher(name: Callable[[], str]) -> None:
    """Register the function that returns the matcher's name, which depends on the settings."""
    _matcher[:] = [name]


def versions() -> dict[str, dict[str, int]]:
    """Return the implemented version of the platform and of its parts, which share it except for `api`."""
    platform = dict(zip(("major", "minor", "patch"), PLATFORM, strict=True))
    return {
        "LUNA PLATFORM": platform,
        **{part: {"api": api, **platform} for part, api in PARTS.items()},
        **{name(): {"api": API_VERSION, **platform} for name in _matcher},
    }


def service_version(api: int) -> dict[str, dict[str, int]]:
    """Return the implemented version of a service with its own port. `api`: the version of its paths."""
    return {"Version": {"api": api, **versions()["LUNA PLATFORM"]}}
