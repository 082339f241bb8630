"""Log lines: the request id on each line, text without control characters, JSON lines, and Django's own lines."""

import logging
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ecs_logging
import orjson

from apps.common.config import Directories, Logger, config
from apps.common.request_id import current_request_id


def log_folder() -> Path:
    """Return the folder of the log files by level. A relative path is below the folder of the processes' logs."""
    return (config(Directories).var / "log" / config(Logger).folder_with_logs).resolve()


class RequestIdFilter(logging.Filter):
    """Adds the current request id to each log line."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True


class ExceptionsFilter(logging.Filter):
    """Passes lines about exceptions only: the access log reports the status of every response already."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is not None


class LevelFilter(logging.Filter):
    """Passes lines of one level: ERROR (with CRITICAL), WARNING, INFO or DEBUG."""

    def __init__(self, level: str) -> None:
        super().__init__()
        self.level = logging.getLevelNamesMapping()[level]

    def filter(self, record: logging.LogRecord) -> bool:
        return min(record.levelno, logging.ERROR) // 10 * 10 == self.level


# Control characters and line separators: text of clients must not begin a line or colour a terminal.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    code: f"\\u{code:04x}" for code in (0x2028, 0x2029)
}
_ESCAPES_OF_LINES = {code: escape for code, escape in _ESCAPES.items() if chr(code) not in "\n\t"}


class TextFormatter(logging.Formatter):
    """Formats a message as one line without control characters, as LUNA PLATFORM does.

    `[number date] LEVEL: service request-id: text`. The number is the process id; the text begins with the logger.
    Lines of a traceback follow it, indented, or with `multiline` False on the same line. Times are local or in UTC.
    """

    def __init__(self, service: str, *, utc: bool = False, multiline: bool = True) -> None:
        super().__init__(
            f"[%(process)07d %(asctime)s] %(levelname)s: {service} %(request_id)s: %(name)s: %(message)s",
            defaults={"request_id": "-"},
        )
        self.zone = UTC if utc else None
        self.multiline = multiline

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 (of logging)
        return datetime.fromtimestamp(record.created, self.zone).strftime(datefmt or "%Y-%m-%d %H:%M:%S.%f")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if self.multiline else text.replace("\n", "\\n")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (of logging)
        return super().formatMessage(record).translate(_ESCAPES)

    def formatException(self, ei: Any) -> str:  # noqa: N802 (of logging)
        return textwrap.indent(super().formatException(ei).translate(_ESCAPES_OF_LINES), "  ")


class JSONFormatter(logging.Formatter):
    """Formats a line as one JSON object.

    Members: time (UTC), level, logger, request_id, message, those of `extra={"fields": …}`, and the traceback of an
    exception as `exception`.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": getattr(record, "request_id", None),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class ECSFormatter(ecs_logging.StdlibFormatter):
    """Formats a line as one JSON object of the Elastic Common Schema.

    The request id is `trace.id`; `extra={"fields": …}` becomes the fields of `ECS_FIELDS`, others are `luna.<name>`.
    """

    def format_to_ecs(self, record: logging.LogRecord) -> dict[str, Any]:
        fields = dict(getattr(record, "fields", {}))
        if "ms" in fields:
            fields["execution_time"] = fields.pop("ms") / 1000
        line = super().format_to_ecs(record)
        line.pop("fields", None)
        line["trace"] = {"id": line.pop("request_id", None)}
        for name, value in fields.items():
            *path, last = ECS_FIELDS.get(name, f"luna.{name}").split(".")
            place = line
            for key in path:
                place = place.setdefault(key, {})
            place[last] = value
        return line


# `http.response.execution_time` is not part of the schema; LUNA PLATFORM has it, in seconds.
ECS_FIELDS = {
    "method": "http.request.method",
    "route": "url.path",
    "status": "http.response.status_code",
    "execution_time": "http.response.execution_time",
    "error_code": "error.code",
}
