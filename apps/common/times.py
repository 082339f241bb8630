"""Parsing and formatting of times: RFC 3339, and relative times (`now-7d`) in filters."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import overload
from zoneinfo import available_timezones

from django.utils.dateparse import parse_datetime

from apps.common.config import StorageTime, config

NOW_TIME = re.compile(r"now-(\d{1,9})([smhdwMy])")
UNIT = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "M": timedelta(days=30),
    "y": timedelta(days=365),
}


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


@overload
def format_time(value: datetime) -> str: ...


@overload
def format_time(value: None) -> None: ...


@overload
def format_time(value: datetime | None) -> str | None: ...


def format_time(value: datetime | None) -> str | None:
    """Format a time as RFC 3339 in UTC with microseconds, as in all responses."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


@cache
def time_zones() -> frozenset[str]:
    """Return the names of the IANA time zone database. `localtime` is a file of some machines."""
    return frozenset(available_timezones()) - {"localtime"}


def parse_time(text: str) -> datetime:
    """Parse RFC 3339 to an aware time; `storage_time` gives the zone of a time without offset. Raises ValueError."""
    value = parse_datetime(text.strip())
    if value is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    if value.tzinfo is None and config(StorageTime).storage_time == "UTC":
        return value.replace(tzinfo=UTC)
    try:
        if value.tzinfo is None:
            return value.astimezone()
        value.astimezone(UTC)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{text!r} is outside the years 1 to 9999 in UTC") from error
    return value


def parse_filter_time(text: str, now: datetime | None = None) -> datetime:
    """Parse RFC 3339 or `now-<n><s|m|h|d|w|M|y>`; a month is 30 days, a year 365 days. Raises ValueError."""
    relative = NOW_TIME.fullmatch(text.strip())
    if relative is None:
        return parse_time(text)
    try:
        return (now or utc_now()) - int(relative[1]) * UNIT[relative[2]]
    except OverflowError as error:
        raise ValueError(f"{text!r} is before the year 1") from error
