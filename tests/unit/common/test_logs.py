"""Text lines of the log: a client's text neither begins a line nor controls a terminal."""

import io
import logging
from typing import Any

import pytest
from django.conf import settings

from apps.common.logs import RequestIdFilter, TextFormatter

FORGED = "\r\n2026-11-26 00:00:00,000 WARNING apps.accounts [-] forged\x1b[31m\x9b\u2028\u2029\x7f\0"
LOGGING: Any = settings.LOGGING
FORM = LOGGING["formatters"]["default"]["format"]


@pytest.fixture
def lines() -> tuple[logging.Logger, io.StringIO]:
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(TextFormatter(FORM))
    handler.addFilter(RequestIdFilter())
    logger = logging.Logger("of this test")
    logger.addHandler(handler)
    return logger, text


def test_a_message_is_one_line(lines: tuple[logging.Logger, io.StringIO]) -> None:
    logger, text = lines
    logger.warning("Unhandled exception on %s %s", "GET", f"/6/faces/{FORGED} é 顔")
    (line,) = text.getvalue().splitlines()
    assert r"/6/faces/\x0d\x0a2026-11-26 00:00:00,000 WARNING" in line
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
