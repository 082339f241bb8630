"""Times of cron expressions with five fields, in time zones with daylight saving time.

A run is required by all fields: where day of month and day of week are both restricted, both must hold. Expressions for
every hour follow real time. Others follow the wall clock: a time that the clock repeats runs once, the first time, and
times that the clock skips run once, when it has skipped them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from apps.common.times import time_zones

MAX_CHARACTERS = 128
FIELDS = 5
HOURS = 24
MINUTE = timedelta(minutes=1)


class _Times(CronSim):
    """CronSim takes either day if both are restricted; here both must hold."""

    def __init__(self, trigger: str, start: datetime) -> None:
        super().__init__(trigger, start)
        self.day_and = True


def trigger_problem(trigger: str) -> str | None:
    """Return why a cron expression is invalid, or None."""
    if len(trigger) > MAX_CHARACTERS:
        return f"A cron expression has at most {MAX_CHARACTERS} characters, got {len(trigger)}."
    if (count := len(trigger.split())) != FIELDS:
        return f"A cron expression has 5 fields (minute, hour, day of month, month, day of week), got {count}."
    try:
        first = next(_Times(trigger, datetime.now(UTC)), None)
    except CronSimError as error:
        return f"{error} in the cron expression."
    return "The cron expression has no run within 50 years." if first is None else None


def next_run(trigger: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Return the first run later than `after`, in UTC; None without a run within 50 years.

    `trigger`: a valid expression. `after`: aware.
    """
    return next((each for each in _runs(trigger, zone, after) if each > after), None)


def _runs(trigger: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    local = after.astimezone(zone)
    times = _Times(trigger, local)
    if len(times.hours) == HOURS:
        times.fixup_tz = None  # CronSim's own rule reads the text, not the hours
        times.dt = local.replace(microsecond=0)
        yield from (each.astimezone(UTC) for each in times)
    else:
        yield from (_instant(each, zone) for each in _Times(trigger, local.replace(tzinfo=None)))


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which clocks show `wall`, or the end of the gap that skips it."""
    while (instant := wall.replace(tzinfo=zone).astimezone(UTC)).astimezone(zone).replace(tzinfo=None) != wall:
        wall += MINUTE
    return instant


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone of the IANA database; UTC for a name that it no longer has."""
    return ZoneInfo(name) if name in time_zones() else ZoneInfo("UTC")
