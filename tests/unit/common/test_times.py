"""Times of requests and answers."""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.config import StorageTime
from apps.common.times import format_time, parse_filter_time, parse_time

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=offsets))
def test_round_trip(value: datetime) -> None:
    text = format_time(value)
    assert text is not None
    assert text.endswith("Z")
    assert parse_time(text) == value == parse_time(value.isoformat())


def test_forms() -> None:
    assert parse_time("2018-08-11T09:11:41.674Z") == datetime(2018, 8, 11, 9, 11, 41, 674000, tzinfo=UTC)
    assert parse_time(" 2023-10-03T13:50:52.769472+03:00 ").hour == 13
    assert parse_time("2023-10-03T13:50:52").tzinfo is UTC
    assert format_time(None) is None


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("now-0s", timedelta()),
        ("now-90s", timedelta(seconds=90)),
        ("now-5m", timedelta(minutes=5)),
        ("now-2h", timedelta(hours=2)),
        ("now-7d", timedelta(days=7)),
        ("now-2w", timedelta(weeks=2)),
        ("now-1M", timedelta(days=30)),
        ("now-1y", timedelta(days=365)),
    ],
)
def test_relative(text: str, ago: timedelta) -> None:
    assert parse_filter_time(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "now-",
        "now-1",
        "now-d",
        "now+1d",
        "now-1D",
        "now-999999999y",
        "now-1d ago",
        "2026-13-01T00:00:00Z",
        "9999-12-31T23:59:59-00:01",
        "0001-01-01T00:00:00+00:01",
        "٣",
    ],
)
def test_nonsense(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message differs, the type is the contract
        parse_filter_time(text, NOW)


@given(st.text(max_size=40))
def test_any_text_gives_a_time_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_filter_time(text, NOW).tzinfo is not None


def test_times_without_offset_have_the_zone_of_storage(
    configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Baku")
    time.tzset()
    try:
        assert parse_time("2026-01-01T12:00:00") == datetime(2026, 1, 1, 12, tzinfo=UTC)
        configure(StorageTime, storage_time="LOCAL")
        assert parse_time("2026-01-01T12:00:00") == datetime(2026, 1, 1, 8, tzinfo=UTC)
        assert parse_time("2026-01-01T12:00:00Z") == datetime(2026, 1, 1, 12, tzinfo=UTC)
        with pytest.raises(ValueError, match="9999"):
            parse_time("0001-01-01T00:00:00")
    finally:
        monkeypatch.undo()
        time.tzset()
