"""POST /6/events/stats."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.filters.columns import ARRAYS, KINDS
from apps.common.times import format_time
from apps.events import statistics
from tests.factories import basic_client, client_of, make_account, make_event, token_client

pytestmark = pytest.mark.django_db
COUNT = {"column": "event_id", "aggregator": "count"}
BERLIN = ZoneInfo("Europe/Berlin")
# Two events an hour around the change to winter time on 2026-10-25, 01:00 UTC.
START = datetime(2026, 10, 24, 20, tzinfo=UTC)
AGES = [None, 20, 31, 44]


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


@pytest.fixture
def rows(account: Account) -> list[dict[str, Any]]:
    rows = [
        {
            "create_time": START + timedelta(minutes=30 * index),
            "source": ("gate", "lobby", None)[index % 3],
            "age": AGES[index % 4],
            "gender": (0, 1, None)[index % 3],
            "tags": [["vip"], [], ["vip", "staff"]][index % 3],
            "upper_clothing_colors": [None, [1, 8], [1]][index % 3],
            "meta": [None, {"temperature": 36.5 + index % 2, "door": {"name": "north"}}][index % 2],
            "longitude": [None, 10.75][index % 2],
            "latitude": [None, 59.91][index % 2],
        }
        for index in range(24)
    ]
    for row in rows:
        make_event(account, **row)
    return rows


def asked(client: Client, status: int = 200, /, **body: Any) -> Any:
    answer = client.post("/6/events/stats", body, "application/json")
    assert answer.status_code == status, answer.content
    return answer.json()["statistic"] if status == 200 else answer.json()["detail"]


def counts(rows: list[dict[str, Any]], column: str) -> dict[Any, int]:
    return {row[column]: row["event_id__count"] for row in rows}


def test_aggregates_of_all_events(client: Client, rows: list[dict[str, Any]]) -> None:
    ages = [row["age"] for row in rows if row["age"] is not None]
    targets = [{"column": "age", "aggregator": name} for name in ("count", "min", "max", "avg")]
    targets += [COUNT, {"column": "create_time", "aggregator": "max"}, {"column": "source", "aggregator": "min"}]
    (row,) = asked(client, targets=targets)
    assert row == {
        "age__count": len(ages),
        "age__min": 20,
        "age__max": 44,
        "age__avg": pytest.approx(sum(ages) / len(ages)),
        "event_id__count": len(rows),
        "create_time__max": format_time(rows[-1]["create_time"]),
        "source__min": "gate",
    }


def test_groups_of_values_and_null(client: Client, rows: list[dict[str, Any]]) -> None:
    expected: dict[Any, int] = defaultdict(int)
    for row in rows:
        expected[row["source"]] += 1
    assert counts(asked(client, targets=[COUNT], group_by="source"), "source") == expected
    by_target = [COUNT, {"column": "source", "aggregator": "group_by"}]
    assert counts(asked(client, targets=by_target), "source") == expected


def test_arrays_count_in_the_group_of_each_value(client: Client, rows: list[dict[str, Any]]) -> None:
    assert counts(asked(client, targets=[COUNT], group_by="tags"), "tags") == {"vip": 16, "staff": 8, None: 8}
    colours = asked(client, targets=[COUNT], group_by=["upper_clothing_colors", "tags"])
    found = {(row["upper_clothing_colors"], row["tags"]): row["event_id__count"] for row in colours}
    assert found == {(None, "vip"): 8, (1, None): 8, (8, None): 8, (1, "vip"): 8, (1, "staff"): 8}


def test_meta_and_position(client: Client, rows: list[dict[str, Any]]) -> None:
    warm = [{"column": "meta.temperature", "aggregator": name} for name in ("count", "avg")]
    (row,) = asked(client, targets=warm)
    assert row == {"meta.temperature__count": 12, "meta.temperature:numeric__avg": 37.5}
    assert counts(asked(client, targets=[COUNT], group_by="meta.temperature"), "meta.temperature") == {
        37.5: 12,
        None: 12,
    }
    assert asked(client, targets=[{"column": "meta.temperature:string", "aggregator": "count"}])[0] == {
        "meta.temperature:string__count": 0
    }
    assert counts(asked(client, targets=[COUNT], group_by="meta.door.name"), "meta.door.name") == {
        "north": 12,
        None: 12,
    }
    assert asked(client, targets=[{"column": "meta", "aggregator": "count"}]) == [{"meta__count": 12}]
    places = asked(client, targets=[COUNT], group_by="geo_position")
    assert [row["geo_position"] for row in places] == [{"longitude": 10.75, "latitude": 59.91}, None]


@pytest.mark.parametrize(
    ("group_by", "begin"),
    [
        ("1h", lambda time: time.astimezone(UTC).replace(minute=0)),
        ("2h", lambda time: time - (time - datetime(2000, 12, 31, 23, tzinfo=UTC)) % timedelta(hours=2)),
        ("day", lambda time: time.astimezone(BERLIN).replace(hour=0, minute=0, fold=0)),
        ("month", lambda time: time.astimezone(BERLIN).replace(day=1, hour=0, minute=0, fold=0)),
        ({"column": "create_time", "interval": "1y"}, lambda time: datetime(2026, 1, 1, tzinfo=BERLIN)),
        ("2w", lambda time: datetime(2026, 10, 19, tzinfo=BERLIN)),
    ],
)
def test_intervals_in_a_time_zone(client: Client, rows: list[dict[str, Any]], group_by: Any, begin: Any) -> None:
    expected: dict[str, int] = defaultdict(int)
    for row in rows:
        expected[format_time(begin(row["create_time"]))] += 1
    found = asked(client, targets=[COUNT], group_by=group_by, time_zone="Europe/Berlin")
    assert counts(found, "create_time") == expected
    assert [row["create_time"] for row in found] == sorted(expected)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("hour_of_day", lambda local: local.hour),
        ("day_of_week", lambda local: local.isoweekday()),
        ("day_of_month", lambda local: local.day),
        ("day_of_year", lambda local: local.timetuple().tm_yday),
        ("week_of_year", lambda local: local.isocalendar().week),
        ("month_of_year", lambda local: local.month),
        ("minute_of_hour", lambda local: local.minute),
    ],
)
def test_frequencies_in_the_time_zone_of_the_account(
    client: Client, account: Account, rows: list[dict[str, Any]], name: str, part: Any
) -> None:
    changed = basic_client(account).patch("/6/account", {"time_zone": "Europe/Berlin"}, "application/json")
    assert changed.status_code in (200, 204), changed.content
    expected: dict[int, int] = defaultdict(int)
    for row in rows:
        expected[part(row["create_time"].astimezone(BERLIN))] += 1
    assert counts(asked(client, targets=[COUNT], group_by=name), f"create_time__{name}") == expected


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (("age", "gte", 31), lambda row: (row["age"] or 0) >= 31),
        (("age", "eq", None), lambda row: row["age"] is None),
        (("age", "neq", None), lambda row: row["age"] is not None),
        (("age", "neq", 20), lambda row: row["age"] not in (None, 20)),
        (("age", "in", [20, None]), lambda row: row["age"] in (None, 20)),
        (("age", "nin", [20, None]), lambda row: row["age"] not in (None, 20)),
        (("source", "like", "at"), lambda row: "at" in (row["source"] or "")),
        (("source", "nlike", "at"), lambda row: row["source"] == "lobby"),
        (("gender", "eq", "male"), lambda row: row["gender"] == 1),
        (("tags", "in", ["staff"]), lambda row: "staff" in row["tags"]),
        (("tags", "nin", ["staff"]), lambda row: "staff" not in row["tags"]),
        (("upper_clothing_colors", "eq", "white"), lambda row: 8 in (row["upper_clothing_colors"] or [])),
        (("create_time", "lt", "2026-10-25T00:00:00Z"), lambda row: row["create_time"].day == 24),
        (("meta.temperature", "gt", 37), lambda row: (row["meta"] or {}).get("temperature", 0) > 37),
        (("meta.door.name", "eq", "north"), lambda row: row["meta"] is not None),
        (("meta", "eq", None), lambda row: row["meta"] is None),
        (("meta", "neq", None), lambda row: row["meta"] is not None),
        (("geo_position", "eq", None), lambda row: row["longitude"] is None),
        (
            ("geo_position", "eq", {"origin_longitude": 10.8, "origin_latitude": 59.9, "longitude_delta": 0.1}),
            lambda row: row["longitude"] is not None,
        ),
    ],
)
def test_conditions(client: Client, rows: list[dict[str, Any]], condition: Any, holds: Any) -> None:
    column, operator, value = condition
    (row,) = asked(client, targets=[COUNT], filters=[{"column": column, "operator": operator, "value": value}])
    assert row["event_id__count"] == sum(map(holds, rows)) not in (0, len(rows))


def test_filters_as_in_the_search(client: Client, rows: list[dict[str, Any]]) -> None:
    filters = {"sources": ["gate"], "age__gte": 30, "meta.temperature__gte:numeric": 37}
    (row,) = asked(client, targets=[COUNT], filters=filters)
    expected = [row for row in rows if row["source"] == "gate" and (row["age"] or 0) >= 30 and row["meta"]]
    assert row["event_id__count"] == len([row for row in expected if row["meta"]["temperature"] >= 37]) > 0


def test_period(client: Client, rows: list[dict[str, Any]]) -> None:
    begin, end = (format_time(START + timedelta(hours=hours)) for hours in (1, 3))
    for period, count in (([begin, end], 4), ([begin], 22), ([None, end], 6), ([end, end], 0), ([], 24)):
        assert asked(client, targets=[COUNT], period=period) == [{"event_id__count": count}]
    assert asked(client, targets=[COUNT], period=[end, end], group_by="source") == []


@pytest.mark.parametrize("column", sorted({*KINDS} - {"id"}))
def test_every_column_makes_groups_and_counts(client: Client, account: Account, column: str) -> None:
    make_event(account, attach_result=[uuid4()], tags=["a"])
    found = asked(client, targets=[{"column": column, "aggregator": "count"}], group_by=[column])
    assert len(found) == 1
    assert set(found[0]) == {column, f"{column}__count"}
    assert column not in ARRAYS or found[0][column] != []


def test_ten_groupings(client: Client, rows: list[dict[str, Any]]) -> None:
    columns = ["source", "age", "gender", "tags", "upper_clothing_colors", "city", "mask", "emotion", "1d", "liveness"]
    assert asked(client, targets=[COUNT], group_by=columns)
    assert "at most 10" in asked(client, 400, targets=[COUNT], group_by=[*columns, "deepfake"])


def test_accounts_see_their_own_events(client: Client, rows: list[dict[str, Any]]) -> None:
    other = make_account()
    make_event(other, source="elsewhere")
    assert asked(client, targets=[COUNT]) == [{"event_id__count": 24}]
    everyone = basic_client(make_account(AccountType.ADVANCED_USER))
    assert asked(everyone, targets=[COUNT]) == [{"event_id__count": 25}]
    answer = everyone.post(
        f"/6/events/stats?account_id={other.account_id}", {"targets": [COUNT]}, content_type="application/json"
    )
    assert answer.json()["statistic"] == [{"event_id__count": 1}]
    foreign = client.post(
        f"/6/events/stats?account_id={other.account_id}", {"targets": [COUNT]}, content_type="application/json"
    )
    assert foreign.status_code == 403
    of_other = [{"column": "account_id", "operator": "eq", "value": str(other.account_id)}]
    assert asked(client, targets=[COUNT], filters=of_other) == [{"event_id__count": 0}]


def test_the_right_to_view_events_is_required(account: Account) -> None:
    answer = token_client(account, face=["view"]).post(
        "/6/events/stats", {"targets": [COUNT]}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["error_code"]) == (403, 11059)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"targets": []},
        {"targets": None},
        {"targets": [COUNT], "unknown": 1},
        {"targets": [{"column": "nothing", "aggregator": "count"}]},
        {"targets": [{"column": "tags", "aggregator": "max"}]},
        {"targets": [{"column": "source", "aggregator": "avg"}]},
        {"targets": [{"column": "meta.a:string", "aggregator": "avg"}]},
        {"targets": [{"column": "event_id", "aggregator": "min"}]},
        {"targets": [{"column": "age", "aggregator": "median"}]},
        {"targets": [{"column": "age", "aggregator": "max", "interval": "1d"}]},
        {"targets": [COUNT], "group_by": "nothing"},
        {"targets": [COUNT], "group_by": True},
        {"targets": [COUNT], "group_by": "0d"},
        {"targets": [COUNT], "group_by": {"column": "age", "interval": "1d"}},
        {"targets": [COUNT], "group_by": ["1d", "1h"]},
        {"targets": [COUNT], "group_by": "meta.a__gt"},
        {"targets": [COUNT], "group_by": "meta"},
        {"targets": [{"column": "meta", "aggregator": "max"}]},
        {"targets": [COUNT], "time_zone": "Mars/Base"},
        {"targets": [COUNT], "time_zone": "localtime"},
        {"targets": [COUNT], "time_zone": "UTC'; DROP TABLE x; --"},
        {"targets": [COUNT], "group_by": [f"meta.a{number}" for number in range(11)]},
        {"targets": [COUNT], "period": 0},
        {"targets": [COUNT], "period": ["yesterday"]},
        {"targets": [COUNT], "period": ["now-1d", "now-1h", "now-1m"]},
        {"targets": [COUNT], "filters": {"nothing": 1}},
        *(
            {"targets": [COUNT], "filters": [dict(zip(("column", "operator", "value"), each, strict=True))]}
            for each in (
                ("age", "eq", True),
                ("age", "gt", None),
                ("age", "like", "2"),
                ("age", "in", 20),
                ("age", "in", []),
                ("age", "between", [1, 2]),
                ("age", "eq", "old"),
                ("age", "eq", [20]),
                ("tags", "gt", "a"),
                ("create_time", "gte", 5),
                ("nothing", "eq", 1),
                ("meta.a", "gt", True),
                ("meta.", "eq", "a"),
                ("geo_position", "gt", {"origin_longitude": 1, "origin_latitude": 1}),
                ("geo_position", "eq", {"origin_longitude": 1}),
                ("geo_position", "eq", {}),
                ("source", "eq", "a\0"),
            )
        ),
    ],
)
def test_bad_bodies(client: Client, body: dict[str, Any]) -> None:
    answer = client.post("/6/events/stats", body, "application/json")
    assert (answer.status_code, answer.json()["error_code"]) == (400, 12027), answer.content


def test_too_many_groups(client: Client, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MAX_GROUPS", 23)
    assert "more than 23 groups" in asked(client, 400, targets=[COUNT], group_by="create_time")


def test_times_at_the_ends_of_the_calendar(client: Client, account: Account) -> None:
    make_event(account, create_time=datetime(1, 1, 1, tzinfo=UTC))
    problem = asked(client, 400, targets=[COUNT], group_by="10000y", time_zone="Asia/Tokyo")
    assert "give a period" in problem
