"""Path prefixes: the part of an address between the host and the platform's own paths, such as `/luna`."""

import re

# Characters that no URL needs to escape. A segment that starts with a dot could leave the prefix (`/..`).
_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


def parse_prefix(text: str) -> str | None:
    """Return a prefix without trailing slash, empty for the root; None when the text is no prefix."""
    prefix = text.strip().rstrip("/")
    return prefix if _PREFIX.fullmatch(prefix) else None
