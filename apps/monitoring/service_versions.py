"""The version of LUNA PLATFORM that this platform implements.

The resource is public, so it does not name Luna's own version, which would show known faults to attackers.
"""

from collections.abc import Callable

API_VERSION, ADMIN_API_VERSION = 6, 4
PLATFORM = (5, 67, 0)  # clients derive supported features from it
PARTS = (
    "luna-api", "luna-faces", "luna-events", "luna-handlers", "luna-remote-sdk",
    "luna-image-store", "luna-accounts", "luna-sender", "luna-tasks",
)  # fmt: skip

_matcher: list[Callable[[], str]] = []


def register_matcher(name: Callable[[], str]) -> None:
    """Register the function that returns the matcher's name, which depends on the settings."""
    _matcher[:] = [name]


def versions() -> dict[str, dict[str, int]]:
    """Return the implemented version of the platform and of its parts, which share it."""
    platform = dict(zip(("major", "minor", "patch"), PLATFORM, strict=True))
    return {
        "LUNA PLATFORM": platform,
        **{part: {"api": API_VERSION, **platform} for part in (*PARTS, *(name() for name in _matcher))},
    }


def admin_versions() -> dict[str, dict[str, int]]:
    """Return the implemented version of the service Admin."""
    return {"Version": {"api": ADMIN_API_VERSION, **dict(zip(("major", "minor", "patch"), PLATFORM, strict=True))}}
