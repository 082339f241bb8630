"""Log lines: the request id on each line, JSON lines, and Django's own lines."""

import logging
from datetime import UTC, datetime
from typing import Any

import orjson

from apps.common.request_id import current_request_id


class RequestIdFilter(logging.Filter):
    """Adds the current request id to each log line."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True


class ExceptionsFilter(logging.Filter):
    """Passes lines about exceptions only: the access log reports the status of every response already."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.exc_info is not None


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
