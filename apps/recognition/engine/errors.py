"""The one exception of a broken set-up. Errors of a request are LunaError."""


class EngineError(Exception):
    """The engine cannot start or go on as it is configured; the message says in one sentence what to do."""


def first_line(error: Exception) -> str:
    """What an error says, in short."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
