"""Exception of an invalid set-up. Errors of a request are LunaError."""


class EngineError(Exception):
    """The engine cannot start or run as configured. The message is one sentence with the remedy."""


def first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
