"""Pages that PostgreSQL reads for a search among 100,000 events with 512 numbers: thin table beside wide tables.

It takes minutes, so it runs by name only: `python -m tests.perf thin`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from django.db import connection

from apps.accounts.services import account_create
from apps.common.descriptors import Vector, versions
from apps.common.prepared import planned_cursor
from apps.common.scope import Scope
from apps.events.models import Event
from apps.events.selectors import events_nearest
from apps.events.thin import THIN_EVENTS, thin_events_nearest
from tests.perf.list_among_many import BATCH, DIMENSION, VERSION, vectors_of
from tests.perf.matching import timed
from tests.perf.report import Row, percentile

EVENTS, TOP, ROUNDS = 100_000, 5, 9
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DETECTION = {  # of the size of a stored one
    "filename": "2026-11-20T12:00:00.jpg",
    "samples": [{"face": {"sample_id": str(UUID(int=7)), "url": f"/6/samples/faces/{UUID(int=7)}"}}],
    "detect_time": "2026-11-20T12:00:00.000000Z",
    "face_detection": {"rect": {"x": 1, "y": 2, "width": 3, "height": 4}, "landmarks5": [[1, 2]] * 5},
    "attributes": {"quality": dict.fromkeys(("blurriness", "dark", "light", "illumination"), 0.987654321)},
}
Capture = list[tuple[str, Sequence[Any]]]


def bench() -> list[Row]:
    versions.register(VERSION)
    account = account_create(login="thin@luna.test", password="correct horse battery")
    random = np.random.default_rng(2026)
    try:
        add_events(account.account_id, random)
        _, build_ms = timed(lambda: list(THIN_EVENTS.build()))
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE events_event, events_eventdescriptor, events_thinevent")
        rows = [Row("thin table of 100,000 events: build", build_ms / 1000, "s")]
        for name, filters in searches().items():
            rows += compare(name, Scope(account.account_id), filters, random)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE events_event, events_eventdescriptor")
        THIN_EVENTS.drop()
        account.delete()
    return rows


def searches() -> Mapping[str, Mapping[str, Any]]:
    return {
        "the last tenth of the time": {"create_time__gte": NOON + timedelta(seconds=int(EVENTS * 0.9))},
        "one of ten sources": {"sources": ["camera 3"]},
        "men of 30 to 39": {"gender": [1], "age__gte": 30, "age__lt": 40},
        "one of twenty tags": {"tags": ["tag 7"]},
        "men": {"gender": [1]},
    }


def add_events(account_id: UUID, random: np.random.Generator) -> None:
    for start in range(0, EVENTS, BATCH):
        ages, genders = random.integers(10, 80, BATCH).tolist(), random.integers(0, 2, BATCH).tolist()
        cameras, tags = random.integers(0, 10, BATCH).tolist(), random.integers(0, 20, BATCH).tolist()
        time = NOON + timedelta(seconds=start)
        events = Event.objects.bulk_create(
            [
                Event(
                    account_id=account_id, create_time=time + timedelta(seconds=place),
                    end_time=time + timedelta(seconds=place), insert_time=time, handler_id=UUID(int=1),
                    source=f"camera {cameras[place]}", tags=[f"tag {tags[place]}"], gender=genders[place],
                    age=ages[place], face_detections=[DETECTION], track_id=str(uuid4())[:36],
                )
                for place in range(BATCH)
            ]
        )  # fmt: skip
        copy_in([event.pk for event in events], vectors_of(random, BATCH))


def copy_in(keys: Sequence[int], vectors: Vector) -> None:
    """Write descriptors with PostgreSQL's binary COPY."""
    row = np.dtype(
        [
            ("fields", ">i2"),
            *(("key_size", ">i4"), ("key", ">i8"), ("version_size", ">i4"), ("version", ">i4")),
            *(("size", ">i4"), ("dimension", ">i2"), ("unused", ">i2"), ("vector", ">f4", (DIMENSION,))),
        ]
    )
    rows = np.zeros(len(keys), row)
    rows["fields"], rows["key_size"], rows["version_size"] = 3, 8, 4
    rows["size"], rows["dimension"] = 4 + 4 * DIMENSION, DIMENSION
    rows["key"], rows["version"], rows["vector"] = keys, VERSION.version, vectors
    statement = "COPY events_eventdescriptor (event_id, version, vector) FROM STDIN (FORMAT BINARY)"
    with connection.cursor():
        pass
    with connection.connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff")


def compare(name: str, scope: Scope, filters: Mapping[str, Any], random: np.random.Generator) -> list[Row]:
    ways: Mapping[str, Callable[..., Any]] = {"wide": events_nearest, "thin": thin_events_nearest}
    times: dict[str, list[float]] = {way: [] for way in ways}
    pages: dict[str, int] = {}
    for vector in vectors_of(random, ROUNDS):
        found = {}
        for way, nearest in ways.items():
            search = partial(nearest, scope=scope, filters=filters, version=VERSION, vector=vector, limit=TOP)
            found[way], ms = timed(search)
            times[way].append(ms)
            pages[way] = pages.get(way) or pages_of(search)
        assert found["wide"] == found["thin"]
    thin, wide = (percentile(times[way], 50) for way in ("thin", "wide"))
    return [
        Row(f"events, {name}: pages", pages["thin"], "", pages["wide"], pages["thin"] / pages["wide"], "< 1"),
        Row("the same, p50", thin, "ms", wide, thin / wide),
    ]


def pages_of(search: Callable[[], Any]) -> int:
    """Return the number of pages that the last statement of a search reads, from memory or disk."""
    with captured() as statements:
        search()
    sql, parameters = statements[-1]
    with planned_cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", parameters)
        plan = cursor.fetchone()[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@contextmanager
def captured() -> Iterator[Capture]:
    statements: Capture = []

    def keep(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        statements.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(keep):
        yield statements
