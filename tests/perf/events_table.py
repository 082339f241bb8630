"""Searches of a large table of events: `LUNA_BENCH_EVENTS=10000000 python -m tests.perf events_table`.

PostgreSQL makes the events of the last year itself (default 1,000,000): a table for each month, whose indexes are built
when it becomes a partition. Ten million take 14 GB and some ten minutes. Each class of filter is searched as
`GET /6/events` does, with a page of 100 events and new values each time. Plans go to `var/plans-of-events.txt`.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.services import account_create
from apps.common.filters import Filters
from apps.common.filters.conditions import Box
from apps.common.filters.meta import meta_condition
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.events.meta_index import meta_index_create
from apps.events.partitions import EVENTS, TABLES, boundary_after, key_at
from apps.events.selectors import event_get, events_page
from apps.events.statistics import Grouping, Interval, Question, Target, events_statistics
from tests.perf.report import Row, percentile

ROWS = int(os.environ.get("LUNA_BENCH_EVENTS", "1000000"))
MONTHS = 12
REPEATS = 20
PAGE = 100
DEEP_PAGE = 1000
PLANS = Path(__file__).parent.parent.parent / "var" / "plans-of-events.txt"
GOAL = "<= 150 ms"
# Random but repeatable: %(n)s is the number of the row, hashed with another salt for each column.
FILL = """
INSERT INTO {table} (id, account_id, event_id, handler_id, create_time, end_time, insert_time, source, stream_id,
    track_id, external_id, user_data, tags, meta, city, area, street, longitude, latitude, face_id, attach_result,
    gender, age, emotion, ethnic_group, mask, liveness, deepfake, apparent_gender, apparent_age, headwear_state,
    sleeve_length, upper_clothing_colors, backpack_state, lower_garment_type, shoes_apparent_color,
    top_matching_candidates_label, top_similar_object_id, top_similar_object_type, top_similar_object_similarity,
    top_similar_external_id, match_result, face_detections, body_detections, notified)
SELECT (floor(extract(epoch FROM stored) * 1000)::bigint << 20) | (n & 1048575),
    (%(accounts)s::uuid[])[1 + least(h1 %% 10, 2)], md5('event' || n)::uuid, md5('handler' || h2 %% 5)::uuid,
    stored - interval '2 s', stored - interval '1 s', stored, 'camera ' || h3 %% 50, md5('stream' || h3 %% 50)::uuid,
    CASE WHEN h1 %% 2 = 0 THEN 'track ' || n END, CASE WHEN h2 %% 3 = 0 THEN 'person ' || h4 %% 100000 ELSE '' END,
    CASE WHEN h3 %% 10 = 0 THEN 'about ' || h4 %% 100000 ELSE '' END,
    CASE WHEN h4 %% 4 = 0 THEN ARRAY['tag ' || h2 %% 20, 'tag ' || 20 + h3 %% 5000] ELSE '{{}}'::text[] END,
    CASE WHEN h1 %% 3 = 0 THEN
        jsonb_build_object('gate', 'gate ' || h3 %% 5000, 'temperature', 35 + h4 %% 60 / 10.0) END,
    'city ' || h2 %% 10, 'area ' || h3 %% 100, 'street ' || h4 %% 5000, 30 + h2 %% 100000 / 50000.0,
    50 + h3 %% 100000 / 50000.0, CASE WHEN h4 %% 5 < 2 THEN md5('face' || n)::uuid END, '{{}}'::uuid[],
    h1 %% 2, h2 %% 100, 1 + h3 %% 7, 1 + h4 %% 4, 1 + h2 %% 3, h3 %% 3, CASE WHEN h4 %% 2 = 0 THEN h3 %% 2 END,
    b * (h1 %% 3), b * (h2 %% 90), b * (h3 %% 3), b * (h4 %% 3), CASE WHEN b = 1 THEN ARRAY[h2 %% 15, h3 %% 15] END,
    b * (h4 %% 3), b * (h3 %% 4), b * (h2 %% 4), m || (h3 %% 5),
    CASE WHEN m <> '' THEN md5('f' || h4 %% 10000)::uuid END,
    CASE WHEN m <> '' THEN 0 END, CASE WHEN m <> '' THEN 0.5 + h2 %% 1000 / 2000.0 END,
    CASE WHEN m <> '' THEN 'person ' || h4 %% 10000 END,
    jsonb_build_array(jsonb_build_object('label', 'all', 'candidates', jsonb_build_array(jsonb_build_object('face',
        jsonb_build_object('face_id', md5('f' || h4 %% 10000), 'user_data', 'a guest', 'lists', '[]'::jsonb),
        'similarity', 0.9, 'event', null)))),
    jsonb_build_array(jsonb_build_object('sample_id', md5('s' || n), 'detect_time', null, 'detect_ts', null,
        'image_origin', null, 'detection', '{{"rect": {{"x": 10, "y": 20, "width": 99, "height": 9}}}}'::jsonb)),
    '[]'::jsonb, true
FROM (
    SELECT n, least(greatest(%(start)s + n * %(step)s, %(low)s), %(high)s - interval '1 ms') AS stored,
        abs(hashint4(n)) AS h1, abs(hashint4(n * 7 + 1)) AS h2, abs(hashint4(n * 11 + 2)) AS h3,
        abs(hashint4(n * 13 + 3)) AS h4,
        CASE WHEN abs(hashint4(n * 3)) %% 10 < 3 THEN 1 END AS b,
        CASE WHEN abs(hashint4(n * 5)) %% 10 < 3 THEN 'label ' END AS m
    FROM generate_series(%(first)s::int, %(last)s::int) n OFFSET 0
) made
"""


def fill(accounts: list[UUID]) -> None:
    """Replace the partitions by months of `ROWS` events in equal distances."""
    end = utc_now()
    start = boundary_after(end - timedelta(days=31 * MONTHS), "month")
    step = (end - start) / ROWS
    with connection.cursor() as cursor:
        cursor.execute("SET maintenance_work_mem = '1GB'")
        cursor.execute("SET synchronous_commit = off")
        for table in TABLES:
            cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table])
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TABLE {name}")
        cursor.execute("CREATE TABLE events_eventdescriptor_future PARTITION OF events_eventdescriptor DEFAULT")
        month, low, first = start, "MINVALUE", 0
        while month <= end:
            after = boundary_after(month, "month")
            last = min(int((after - start) / step) - 1, ROWS - 1)
            name = f"{EVENTS}_p{month:%Y%m%d}"
            cursor.execute(f"CREATE TABLE {name} (LIKE {EVENTS})")
            given: dict[str, Any] = {"accounts": accounts, "start": start, "step": step, "first": first, "last": last}
            given |= {"low": month, "high": after}
            cursor.execute(FILL.format(table=name), given)
            high = key_at(after)
            cursor.execute(f"ALTER TABLE {EVENTS} ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})")
            cursor.execute(f"CREATE UNIQUE INDEX ON {name} (event_id)")
            cursor.execute(f"VACUUM ANALYZE {name}")
            month, low, first = after, str(high), last + 1
        cursor.execute(f"CREATE TABLE {EVENTS}_future PARTITION OF {EVENTS} FOR VALUES FROM ({low}) TO (MAXVALUE)")
        cursor.execute(f"ANALYZE {EVENTS}")


def searches(now: datetime) -> Iterator[tuple[str, Callable[[random.Random], dict[str, Any]]]]:
    """Yield the classes of filters, each with a function that returns filters with new values."""
    old = now - timedelta(days=200)
    always = {"create_time__gte": now - timedelta(days=370)}

    def uuid_of(text: str) -> UUID:
        with connection.cursor() as cursor:
            cursor.execute("SELECT md5(%s)::uuid", [text])
            return UUID(str(cursor.fetchone()[0]))

    def some(name: str, low: int, high: int) -> Callable[[random.Random], dict[str, Any]]:
        return lambda r: {name: [r.randint(low, high)]}

    yield "no filters: the last month", lambda r: {}
    yield (
        "a time of an hour",
        lambda r: {
            "create_time__gte": (start := old + timedelta(hours=r.randint(0, 3000))),
            "create_time__lt": start + timedelta(hours=1),
        },
    )
    yield (
        "insert_time and end_time",
        lambda r: {
            "insert_time__gte": (start := now - timedelta(hours=r.randint(100, 600))),
            "end_time__lt": start + timedelta(minutes=10),
        },
    )
    yield "event_ids", lambda r: {"event_ids": [uuid_of(f"event{r.randint(0, ROWS - 1)}") for _ in range(10)]}
    yield (
        "event_id__gte, a thousandth",
        lambda r: {
            "event_id__gte": UUID(int=(start := r.randint(0, 2**128 - 2**119))),
            "event_id__lt": UUID(int=start + 2**118),
        },
    )
    yield "handler_ids", lambda r: {"handler_ids": [uuid_of(f"handler{r.randint(0, 4)}")]}
    yield "sources, the whole year", lambda r: {"sources": [f"camera {r.randint(0, 49)}"]} | always
    yield "sources, three of fifty", lambda r: {"sources": [f"camera {r.randint(0, 49)}" for _ in range(3)]}
    yield "stream_ids", lambda r: {"stream_ids": [uuid_of(f"stream{r.randint(0, 49)}")]}
    yield "track_ids, the whole year", lambda r: {"track_ids": [f"track {r.randint(0, ROWS)}"]} | always
    yield "external_ids, the whole year", lambda r: {"external_ids": [f"person {r.randint(0, 99999)}"]} | always
    yield "user_data, the whole year", lambda r: {"user_data": f"about {r.randint(0, 99999)}"} | always
    yield "face_ids, the whole year", lambda r: {"face_ids": [uuid_of(f"face{r.randint(0, ROWS)}")]} | always
    yield "tags, frequent", lambda r: {"tags": [f"tag {r.randint(0, 19)}"]}
    yield "tags, rare, the whole year", lambda r: {"tags": [f"tag {r.randint(20, 5000)}"]} | always
    yield "tags, no event", lambda r: {"tags": ["no such tag"]} | always
    yield "top_matching_candidates_label", lambda r: {"top_matching_candidates_label": [f"label {r.randint(0, 4)}"]}
    yield (
        "top_similar_object_ids, the whole year",
        lambda r: {"top_similar_object_ids": [uuid_of(f"f{r.randint(0, 9999)}")]} | always,
    )
    yield "top_similar_external_ids", lambda r: {"top_similar_external_ids": [f"person {r.randint(0, 9999)}"]}
    yield "similarity of .999", lambda r: {"top_similar_object_similarity__gte": 0.999}
    yield "similarity, no event", lambda r: {"top_similar_object_similarity__gt": 1.0}
    yield "gender, emotions, liveness", lambda r: {
        "gender": [r.randint(0, 1)], "emotions": [r.randint(1, 7)], "liveness": [r.randint(0, 2)]
    }  # fmt: skip
    yield "age of one year", lambda r: {"age__gte": (age := r.randint(0, 99)), "age__lt": age + 1}
    yield "age, no event", lambda r: {"age__gte": 150}
    for name, low, high in (
        ("ethnic_groups", 1, 4), ("masks", 1, 3), ("deepfake", 0, 1), ("apparent_gender", 0, 2),
        ("headwear_states", 0, 2), ("sleeve_lengths", 0, 2), ("upper_clothing_colors", 0, 14),
        ("backpack_states", 0, 2), ("lower_garment_types", 0, 3), ("shoes_apparent_colors", 0, 3),
    ):  # fmt: skip
        yield name, some(name, low, high)
    yield "upper_clothing_colors and age, rare", lambda r: {
        "upper_clothing_colors": [r.randint(0, 14)], "apparent_age__gte": 89, "emotions": [r.randint(1, 7)]
    }  # fmt: skip
    yield "emotions null: no event", lambda r: {"emotions": [None]}
    yield "cities", lambda r: {"cities": [f"city {r.randint(0, 9)}"]}
    yield "streets, rare", lambda r: {"streets": [f"street {r.randint(0, 4999)}"]}
    yield (
        "area of 200 m",
        lambda r: {"geo_position": Box.around(30 + 2 * r.random(), 50 + 2 * r.random(), 0.002, 0.002)},
    )
    yield "area, no event", lambda r: {"geo_position": Box.around(-60, 10 * r.random(), 0.01, 0.01)}
    yield "meta, rare", lambda r: {"meta": [meta_condition("meta.gate", f"gate {r.randint(0, 4999)}")]}
    yield "meta, frequent", lambda r: {"meta": [meta_condition("meta.temperature__gte:numeric", Decimal(36))]}


def bench() -> list[Row]:
    """Milliseconds of a search, the 95th percentile, by class of filter; then deep pages of some of them."""
    accounts = [
        account_create(login=f"bench{n}@example.com", password="benchmark password").account_id for n in range(3)
    ]
    started = time.perf_counter()
    fill(accounts)
    rows = [Row(f"making {ROWS:,} events", time.perf_counter() - started, "s")]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'events_event'::regclass"
        )
        rows.append(Row("  on disk", float(cursor.fetchone()[0]) / 1e9, "GB"))
    scope, now, choice = Scope(accounts[2]), utc_now(), random.Random(0)

    def timed(filters: dict[str, Any], page: int = 1, order: Any = "desc") -> tuple[float, int]:
        begun = time.perf_counter()
        found = events_page(scope=scope, filters=filters, page=Page(page, PAGE), order=order)
        return (time.perf_counter() - begun) * 1e3, len(found)

    for name, filters in searches(now):
        measured = [timed(filters(choice)) for _ in range(REPEATS)]
        count = round(sum(found for _, found in measured) / REPEATS)
        rows.append(Row(f"{name} ({count} events)", percentile([ms for ms, _ in measured], 95), "ms", goal=GOAL))
    year = {"create_time__gte": now - timedelta(days=370)}
    for name, some in (("no filters", {}), ("emotions", {"emotions": [3]}), ("sources", {"sources": ["camera 7"]})):
        for order in ("desc", "asc"):
            cache.clear()
            skipped = percentile([timed(year | some, DEEP_PAGE, order)[0] for _ in range(5)], 95)
            timed(year | some, DEEP_PAGE - 1, order)
            begun = percentile([timed(year | some, DEEP_PAGE, order)[0] for _ in range(REPEATS)], 95)
            first = percentile([timed(year | some, 1, order)[0] for _ in range(REPEATS)], 95)
            rows.append(Row(f"page {DEEP_PAGE}, {name}, {order}", begun, "ms", first, begun / first, GOAL))
            rows.append(Row("  of an unknown position", skipped, "ms", first, skipped / first, GOAL))
    rows += statistics(scope, now)
    write_plans(scope, now)
    begun = time.perf_counter()
    meta_index_create("gate")
    rows.append(Row("indexing meta.gate", time.perf_counter() - begun, "s"))
    rare = dict(searches(now))["meta, rare"]
    indexed = percentile([timed(rare(choice))[0] for _ in range(REPEATS)], 95)
    rows.append(Row("meta, rare, indexed", indexed, "ms", goal=GOAL))
    event_id = events_page(scope=scope, filters={}, page=Page(1, 1))[0].event_id
    by_id = [_timed_get(scope, event_id) for _ in range(REPEATS)]
    rows.append(Row("GET /6/events/{event_id}", percentile(by_id, 95), "ms"))
    return rows


def statistics(scope: Scope, now: datetime) -> list[Row]:
    """Measure statistics of one month, in the account's time zone."""
    month: Filters = {"create_time__gte": now - timedelta(days=30)}
    count, age = Target("event_id", "count"), Target("age", "avg")
    rows = []
    for name, groupings in (
        ("in all", ()),
        ("by day and source", (Grouping("create_time", Interval(1, "day")), Grouping("source"))),
        ("by hour of day", (Grouping("create_time", frequency="hour_of_day"),)),
        ("by tag", (Grouping("tags"),)),
    ):
        question = Question(targets=(count, age), groupings=groupings, filters=month, time_zone="Europe/Berlin")
        measured = []
        for _ in range(5):
            begun = time.perf_counter()
            groups = len(events_statistics(scope=scope, question=question))
            measured.append((time.perf_counter() - begun) * 1e3)
        row = Row(f"statistics of a month, {name} ({groups} rows)", percentile(measured, 95), "ms", goal="<= 1500 ms")
        rows.append(row)
    return rows


def write_plans(scope: Scope, now: datetime) -> None:
    """Write the plan of one search of each class to `PLANS`."""
    parts = []
    for name, filters in searches(now):
        with CaptureQueriesContext(connection) as queries:
            events_page(scope=scope, filters=filters(random.Random(1)), page=Page(1, PAGE))
        with connection.cursor() as cursor:
            (search,) = (each["sql"] for each in queries if "LIMIT" in each["sql"])
            cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {search}")
            parts += [f"## {name}", *(line for (line,) in cursor.fetchall()), ""]
    PLANS.write_text("\n".join(parts))


def _timed_get(scope: Scope, event_id: UUID) -> float:
    begun = time.perf_counter()
    event_get(scope=scope, event_id=event_id)
    return (time.perf_counter() - begun) * 1e3
