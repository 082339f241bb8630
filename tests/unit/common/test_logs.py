"""Text lines of the log: a client's text neither begins a line nor controls a terminal."""

import io
import json
import logging
import os
from datetime import UTC, datetime

import pytest

from apps.common.logs import ECSFormatter, LevelFilter, RequestIdFilter, TextFormatter
from apps.common.request_id import current_request_id

FORGED = "\r\n[0000001 2026-11-26 00:00:00.000000] WARNING: luna-web -: apps.x: forged\x1b[31m\x9b\u2028\u2029\x7f\0"


@pytest.fixture
def lines() -> tuple[logging.Logger, io.StringIO]:
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(TextFormatter("luna-web"))
    handler.addFilter(RequestIdFilter())
    logger = logging.Logger("of this test")
    logger.addHandler(handler)
    return logger, text


def test_a_message_is_one_line(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, text = lines
    token = current_request_id.set("1795727647,8ecc7686")
    logger.warning("Unhandled exception on %s %s", "GET", f"/6/faces/{FORGED} é 顔")
    current_request_id.reset(token)
    (line,) = text.getvalue().splitlines()
    assert r"/6/faces/\x0d\x0a[0000001 2026-11-26 00:00:00.000000] WARNING" in line
    number, stamp = line.partition("]")[0].removeprefix("[").split(" ", 1)
    assert int(number) == os.getpid()
    assert len(number) >= 7
    assert datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f").date().year >= 2026
    assert line.partition("] ")[2].startswith("WARNING: luna-web 1795727647,8ecc7686: of this test: Unhandled")
    assert line.endswith(r"forged\x1b[31m\x9b\u2028\u2029\x7f\x00 é 顔")


def test_lines_of_an_exception_are_indented(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, text = lines
    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.exception("Cannot read")
    first, *others = text.getvalue().splitlines()
    assert first.endswith("Cannot read")
    assert others[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") for line in others if line)
    assert not {"\x1b", "\x9b", "\r", "\0"} & set(text.getvalue())


def raised(logger: logging.Logger) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("Cannot read")


def test_a_trace_in_one_line() -> None:
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(TextFormatter("luna-web", utc=True, multiline=False))
    logger = logging.Logger("of this test")
    logger.addHandler(handler)
    raised(logger)
    (line,) = text.getvalue().splitlines()
    assert "Cannot read\\n  Traceback" in line
    assert "ValueError: broken" in line
    stamp = datetime.strptime(line[9:28], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 10


def test_lines_of_the_elastic_common_schema() -> None:
    fields = {"method": "GET", "route": "/6/faces", "status": 404, "ms": 12.5, "account_id": None, "error_code": 22002}
    record = logging.makeLogRecord({"name": "luna.access", "levelno": 20, "levelname": "INFO", "msg": "one %s"})
    record.args, record.fields, record.request_id = ("line",), fields, "1,2"
    line = json.loads(ECSFormatter().format(record))
    assert line["@timestamp"].endswith("Z")
    assert line["log.level"] == "info"
    assert line["message"] == "one line"
    assert line["trace"] == {"id": "1,2"}
    assert line["http"]["request"]["method"] == "GET"
    assert line["http"]["response"] == {"status_code": 404, "execution_time": 0.0125}
    assert line["url"]["path"] == "/6/faces"
    assert line["error"]["code"] == 22002
    assert line["luna"] == {"account_id": None}


@pytest.mark.parametrize(
    ("level", "file"),
    [(10, "DEBUG"), (15, "DEBUG"), (20, "INFO"), (30, "WARNING"), (40, "ERROR"), (50, "ERROR")],
)
def test_each_line_is_in_the_file_of_its_level(level: int, file: str) -> None:
    record = logging.makeLogRecord({"levelno": level})
    assert [each for each in ("ERROR", "WARNING", "INFO", "DEBUG") if LevelFilter(each).filter(record)] == [file]
