"""Cron expressions: the manual's forms, both days, changes of the clock, against an oracle that tries every minute."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from apps.tasks.schedules.cron import next_run, trigger_problem

MINUTE = timedelta(minutes=1)
BERLIN, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")


def runs(trigger: str, start: datetime, zone: ZoneInfo = UTC_ZONE) -> Iterator[datetime]:
    while (found := next_run(trigger, zone, start)) is not None:
        yield found
        start = found


def local(trigger: str, start: datetime, count: int, zone: ZoneInfo = BERLIN) -> list[str]:
    return [f"{each.astimezone(zone):%d %H:%M %z}" for each in islice(runs(trigger, start, zone), count)]


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        ("0 3 * * *", ["2026-01-02T03:00", "2026-01-03T03:00"]),
        ("30 18 * * 5", ["2026-01-02T18:30", "2026-01-09T18:30"]),
        ("0 12 1 * *", ["2026-01-01T12:00", "2026-02-01T12:00"]),
        ("*/15 * * * *", ["2026-01-01T06:15", "2026-01-01T06:30", "2026-01-01T06:45", "2026-01-01T07:00"]),
        ("0 8 * * 1-5", ["2026-01-01T08:00", "2026-01-02T08:00", "2026-01-05T08:00"]),
        ("0 9 1,15 * 1", ["2026-06-01T09:00", "2026-06-15T09:00", "2027-02-01T09:00", "2027-02-15T09:00"]),
        ("0 0 * * 0", ["2026-01-04T00:00", "2026-01-11T00:00"]),
        ("0 0 * * 7", ["2026-01-04T00:00"]),
        ("0 0 * * sun", ["2026-01-04T00:00"]),
        ("10-20/5 0 * jan,feb *", ["2026-01-02T00:10", "2026-01-02T00:15", "2026-01-02T00:20"]),
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 29 2 1", ["2044-02-29T00:00"]),
        ("0 0 L * *", ["2026-01-31T00:00", "2026-02-28T00:00"]),
    ],
)
def test_runs_fulfil_all_fields(trigger: str, expected: list[str]) -> None:
    found = islice(runs(trigger, datetime(2026, 1, 1, 6, 7, 30, tzinfo=UTC)), len(expected))
    assert [f"{each:%Y-%m-%dT%H:%M}" for each in found] == expected
    assert trigger_problem(trigger) is None


@pytest.mark.parametrize(
    ("trigger", "problem"),
    [
        ("", "got 0"),
        ("* * * *", "got 4"),
        ("0 * * * * *", "got 6"),
        ("60 * * * *", "Bad minute"),
        ("* 24 * * *", "Bad hour"),
        ("* * 0 * *", "Bad day-of-month"),
        ("* * * 13 *", "Bad month"),
        ("* * * * 8", "Bad day-of-week"),
        ("*/0 * * * *", "Bad minute"),
        ("5-1 * * * *", "Bad minute"),
        ("1,,2 * * * *", "Bad minute"),
        ("٣ * * * *", "Bad minute"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 31 2 1", "no run within 50 years"),
        ("0 0 * * 1L/2", "Bad day-of-week"),
        ("@daily", "got 1"),
        (f"{'1,' * 60}1 * * * *", "at most 128"),
    ],
)
def test_other_expressions_are_refused(trigger: str, problem: str) -> None:
    assert problem in str(trigger_problem(trigger))


SPRING, AUTUMN = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)


def test_times_that_the_clock_skips_run_once_when_it_has_skipped_them() -> None:
    assert local("30 2 * * *", SPRING, 2) == ["29 03:00 +0200", "30 02:30 +0200"]
    assert local("0,20,40 2,3 * * *", SPRING, 4) == [
        "29 03:00 +0200",
        "29 03:20 +0200",
        "29 03:40 +0200",
        "30 02:00 +0200",
    ]
    assert local("0 */2 29 * *", SPRING, 4) == ["29 00:00 +0100", "29 03:00 +0200", "29 04:00 +0200", "29 06:00 +0200"]


def test_times_that_the_clock_repeats_run_once_and_hourly_ones_each_hour() -> None:
    assert local("30 2 * * *", AUTUMN, 2) == ["25 02:30 +0200", "26 02:30 +0100"]
    second = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time
    assert local("30 2 * * *", second, 1) == ["26 02:30 +0100"]
    hours = ["25 01:00 +0200", "25 02:00 +0200", "25 02:00 +0100", "25 03:00 +0100"]
    for trigger in ("0 * * * *", "0 0-23 * * *", "0 */1 * * *"):
        assert local(trigger, datetime(2026, 10, 24, 22, 30, tzinfo=UTC), 4) == hours
    assert local("0 */2 25 * *", AUTUMN, 3) == ["25 00:00 +0200", "25 02:00 +0200", "25 04:00 +0100"]


def test_a_clock_that_skips_midnight_and_one_that_skips_a_day() -> None:
    cairo, apia = ZoneInfo("Africa/Cairo"), ZoneInfo("Pacific/Apia")
    assert local("0 0 24 4 *", datetime(2026, 1, 1, tzinfo=UTC), 1, cairo) == ["24 01:00 +0300"]
    assert local("0 12 30 12 *", datetime(2011, 12, 1, tzinfo=UTC), 1, apia) == ["31 00:00 +1400"]


CHANGES = [
    ("Europe/Berlin", datetime(2026, 3, 28, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 24, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 3, tzinfo=UTC)),  # by half an hour
    ("Australia/Lord_Howe", datetime(2026, 10, 2, tzinfo=UTC)),
    ("America/St_Johns", datetime(2026, 10, 31, tzinfo=UTC)),
]


@pytest.mark.parametrize(("zone", "start"), CHANGES)
def test_runs_about_a_change_are_those_of_an_oracle_that_tries_every_minute(zone: str, start: datetime) -> None:
    place = ZoneInfo(zone)
    instants = [start + number * MINUTE for number in range(1, 3 * 24 * 60)]
    walls = [each.astimezone(place).replace(tzinfo=None) for each in (start, *instants)]
    for trigger in ("*/7 * * * *", "13 * * * 0,6", "5,35 1-3 * * *", "0 2 * 3,4,10,11 *"):
        minutes, hours, _, months, weekdays = (_field(text) for text in trigger.split())
        every_hour = trigger.split()[1] == "*"
        expected, latest = [], walls[0]
        for instant, wall in zip(instants, walls[1:], strict=True):
            if every_hour:
                shown = [wall]
            else:  # what the clock has not shown before: nothing if it was put back, more if it was put forward
                shown = [wall - number * MINUTE for number in range((wall - latest) // MINUTE)]
                latest = max(latest, wall)
            if any(
                each.minute in minutes
                and each.hour in hours
                and each.month in months
                and (each.weekday() + 1) % 7 in weekdays
                for each in shown
            ):
                expected.append(instant)
        assert expected
        assert list(islice(runs(trigger, start, place), len(expected))) == expected, trigger


def _field(text: str) -> set[int]:
    """The values of a field without steps other than `*/7`."""
    if text.startswith("*"):
        step = int(text[2:] or 1)
        return set(range(0, 60, step))
    values: set[int] = set()
    for part in text.split(","):
        low, _, high = part.partition("-")
        values.update(range(int(low), int(high or low) + 1))
    return values
