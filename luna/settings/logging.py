"""Django's `LOGGING`, from the group `LUNA_API_LOGGER`; applied again when a stored value of it changes."""

import logging.config
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.common.config import Changed, Logger, SettingsError, config
from apps.common.logs import log_folder

LEVELS = ("ERROR", "WARNING", "INFO", "DEBUG")
FILES_PER_LEVEL = 6
BYTES_PER_MB = 1024**2
# Lines of these below WARNING contain queries of websockets, headers with credentials, and URLs; httpx writes a line
# per call of an inference server, smbprotocol one per message, FAISS several about the processor.
QUIET = ("uvicorn", "httpx", "httpcore", "urllib3", "botocore", "boto3", "smbprotocol", "spnego", "faiss.loader")


def logging_configuration() -> dict[str, Any]:
    """Return the configuration of `logging` for this process. Raises SettingsError if files cannot be written."""
    settings = config(Logger)
    files = _files(settings) if settings.log_to_file else {}
    console = {"console": _handler("logging.StreamHandler", settings)} if settings.log_to_stdout else {}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request_id": {"()": "apps.common.logs.RequestIdFilter"},
            "exceptions": {"()": "apps.common.logs.ExceptionsFilter"},
            **{level: {"()": "apps.common.logs.LevelFilter", "level": level} for level in LEVELS},
        },
        "formatters": {
            "default": {
                "()": "apps.common.logs.TextFormatter",
                "service": f"luna-{process_kind(sys.argv)}",
                "utc": settings.log_time == "UTC",
                "multiline": settings.multiline_stack_trace,
            },
            "json": {"()": "apps.common.logs.JSONFormatter"},
            "ecs": {"()": "apps.common.logs.ECSFormatter"},
        },
        "handlers": console | files,
        "root": {"handlers": [*console, *files], "level": settings.log_level},
        "loggers": {
            # Exceptions of pages; the API's exception handler logs its own.
            "django.request": {"level": "ERROR", "filters": ["exceptions"]},
            **{name: {"level": "WARNING"} for name in QUIET},
        },
    }


def apply_changes(changed: Changed) -> None:
    """Configure `logging` again if its settings have changed. Raises SettingsError; then nothing changes."""
    if Logger in changed:
        logging.config.dictConfig(logging_configuration())


def process_kind(arguments: Sequence[str]) -> str:
    """Return what names the log files of a process with these arguments: web, worker, beat or manage."""
    program = Path(arguments[0])
    if program.parent.name == "luna" and program.stem == "web":
        return "web"
    return next((kind for kind in ("worker", "beat") if kind in arguments), "manage")


def _handler(name: str, settings: Logger, **more: Any) -> dict[str, Any]:
    return {"class": name, "formatter": settings.format, "filters": ["request_id"]} | more


def _files(settings: Logger) -> dict[str, Any]:
    """Return a handler per level. Processes of one kind share its files; the handler's lock file orders them.

    Raises SettingsError if the directory cannot be used.
    """
    folder = log_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SettingsError(f"LUNA_LOG_FOLDER cannot be used: {error}.") from None
    kind = process_kind(sys.argv)
    return {
        f"file_{level}": _handler(
            "concurrent_log_handler.ConcurrentRotatingFileHandler",
            settings,
            filename=str(folder / f"luna-{kind}_{level}.txt"),
            filters=["request_id", level],
            maxBytes=settings.max_log_file_size * BYTES_PER_MB,
            backupCount=FILES_PER_LEVEL - 1,
            encoding="utf-8",
            chmod=0o600,
        )
        for level in LEVELS
    }
