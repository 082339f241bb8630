"""Which version answers: our own, and the one of LUNA PLATFORM whose API is spoken."""

from apps.common.config import version

API_VERSION = 6
PLATFORM = (5, 67, 0)  # clients read this to know what they may ask for
PARTS = ("luna-api", "luna-faces", "luna-events", "luna-handlers", "luna-python-matcher", "luna-sender", "luna-tasks")


def versions() -> dict[str, dict[str, int]]:
    """The platform's and each part's version; all parts are one program and share one."""
    own = dict(zip(("major", "minor", "patch"), map(int, version().split(".")), strict=True))
    platform = dict(zip(("major", "minor", "patch"), PLATFORM, strict=True))
    return {"LUNA PLATFORM": platform, **{part: {"api": API_VERSION, **own} for part in PARTS}}
