"""Versions: Luna's own, and the compatible version of LUNA PLATFORM."""

from apps.common.config import version

API_VERSION = 6
PLATFORM = (5, 67, 0)  # clients derive supported features from it
PARTS = (
    "luna-api", "luna-faces", "luna-events", "luna-handlers", "luna-remote-sdk", "luna-python-matcher",
    "luna-image-store", "luna-accounts", "luna-sender", "luna-tasks",
)  # fmt: skip


def versions() -> dict[str, dict[str, int]]:
    """Return the versions of the platform and of its parts. All parts share Luna's version."""
    own = dict(zip(("major", "minor", "patch"), map(int, version().split(".")), strict=True))
    platform = dict(zip(("major", "minor", "patch"), PLATFORM, strict=True))
    return {"LUNA PLATFORM": platform, **{part: {"api": API_VERSION, **own} for part in PARTS}}
