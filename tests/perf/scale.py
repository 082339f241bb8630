"""Faces and descriptors at scale in PostgreSQL: run by name, for the plan in docs/operations.md.

1. `LUNA_BENCH_FACES` (100,000) faces with 512-d descriptors: searches with the settings of the manual's section 8.2,
   each beside the embedded settings in the same turn; the same descriptors in partitions by hash; maintenance.
2. `LUNA_BENCH_ROWS` (1,000,000) faces in a list, without descriptors: inserts, sizes, pages, keys, maintenance.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from uuid import UUID, uuid4

import numpy as np
from django.db import connection

from apps.accounts.services import account_create
from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.nearest import Descriptors, Members, nearest
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.faces import selectors
from apps.faces.models import List
from apps.faces.nearest import DESCRIPTORS, members_of
from tests.perf.filling import analyze, faces_fill, list_fill, version_register
from tests.perf.matching import timed
from tests.perf.people import population
from tests.perf.report import Row, percentile

FACES = int(os.environ.get("LUNA_BENCH_FACES", "100000"))
ROWS = int(os.environ.get("LUNA_BENCH_ROWS", "1000000"))
TURNS = int(os.environ.get("LUNA_BENCH_ROUNDS", "5"))
DIMENSION, LIMIT = 512, 5
PARTITIONS = 8
PARTS = Descriptors(table="descriptor_parts", owner="face_id")
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "work_mem 256MB": {"work_mem": "256MB"},
    "max_parallel_workers_per_gather 2": {
        "max_parallel_workers_per_gather": "2",
        "min_parallel_table_scan_size": "1MB",
    },
    "enable_bitmapscan off": {"enable_bitmapscan": "off"},
    "random_page_cost 4": {"random_page_cost": "4"},
    "jit on": {"jit": "on"},
    "all of 8.2": {
        "max_parallel_workers_per_gather": "2",
        "min_parallel_table_scan_size": "1MB",
        "min_parallel_index_scan_size": "8kB",
        "parallel_setup_cost": "5000",
        "enable_bitmapscan": "off",
        "random_page_cost": "1.5",
        "jit": "on",
    },
}
PARTITIONED = """
CREATE TABLE descriptor_parts (LIKE faces_facedescriptor INCLUDING DEFAULTS INCLUDING STORAGE)
PARTITION BY HASH (face_id)
"""
BULK = """
WITH made AS (
    INSERT INTO faces_face (account_id, face_id, external_id, user_data, avatar, create_time, last_update_time)
    SELECT %(account)s, gen_random_uuid(), '', '', '', now(), now() FROM generate_series(1, %(count)s) RETURNING id
)
INSERT INTO faces_listface (list_id, face_id, link_key, link_time)
SELECT %(list)s, id, %(first)s + row_number() OVER (ORDER BY id), now() FROM made
"""
KEYS = "SELECT count(*) FROM ({}) keys"
BULK_ROWS = 500_000
Search = Callable[[Vector], object]


def bench() -> list[Row]:
    return [*described(), *bare_rows()]


def described() -> Iterator[Row]:
    version = version_register(DIMENSION)
    people, random = population(DIMENSION), np.random.default_rng(2026)
    account = account_create(login=f"{uuid4().hex}@luna.test", password="benchmark")
    stored = people.people(random, FACES)
    keys, fill_ms = timed(partial(faces_fill, account.account_id, version.version, stored))
    shuffled = random.permutation(keys).tolist()
    lists = {share: list_fill(account.account_id, shuffled[: FACES * share // 100]) for share in (10, 60)}
    title = f"{FACES:,} × {DIMENSION}"
    yield Row(f"{title}: faces with descriptors inserted by COPY", FACES / fill_ms * 1e3, "1/s")
    yield from sizes(title, FACES, ["faces_face", "faces_facedescriptor"])
    yield _timed(f"{title}: VACUUM, nothing to do", "VACUUM ANALYZE faces_facedescriptor")
    probes = people.people(random, TURNS + 1)
    searches = cases(DESCRIPTORS, Scope(account.account_id), version, lists)
    yield from settings(title, searches, probes)
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONED)
        for number in range(PARTITIONS):
            cursor.execute(
                f"CREATE TABLE descriptor_parts_{number} PARTITION OF descriptor_parts "
                f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
            )
        cursor.execute("INSERT INTO descriptor_parts SELECT * FROM faces_facedescriptor")
        cursor.execute("CREATE UNIQUE INDEX ON descriptor_parts (face_id, version)")
        cursor.execute("VACUUM ANALYZE descriptor_parts")
    yield from beside(
        f"{title}, {PARTITIONS} partitions", cases(PARTS, Scope(account.account_id), version, lists), searches, probes
    )
    yield _timed(f"{title}: new index of one partition", "REINDEX TABLE CONCURRENTLY descriptor_parts_0")
    yield _timed(f"{title}: new index of the table", "REINDEX INDEX CONCURRENTLY face_descriptor_version")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE descriptor_parts")
        cursor.execute("DELETE FROM faces_facedescriptor WHERE face_id = ANY(%s)", [shuffled[: FACES // 20]])
    yield _timed(f"{title}: VACUUM after a twentieth was deleted", "VACUUM faces_facedescriptor")


def cases(
    descriptors: Descriptors, scope: Scope, version: DescriptorVersion, lists: Mapping[int, List]
) -> dict[str, Search]:
    """Return searches: of all faces, of lists, and of a filter, which needs a join."""

    def search(members: Sequence[Members], countable: bool) -> Search:
        return lambda vector: nearest(
            descriptors,
            members=members,
            countable=countable,
            version=version,
            vector=vector,
            limit=LIMIT,
        )

    filtered = members_of(scope=scope, filters={"user_data": "group 3"})
    return {
        "all faces": search((), False),
        **{
            f"a list of {share} %": search(members_of(scope=scope, filters={"list_id": row.list_id}), True)
            for share, row in lists.items()
        },
        "10 % by a filter": search(filtered, False),
    }


def settings(title: str, searches: Mapping[str, Search], probes: Vector) -> Iterator[Row]:
    """Each group of settings beside the embedded ones, in the same turns."""
    for case, search in searches.items():
        times: dict[str, list[float]] = {name: [] for name in ("", *SETTINGS)}
        for vector in probes:
            for name in times:
                with connection.cursor() as cursor:
                    for setting, value in SETTINGS.get(name, {}).items():
                        cursor.execute(f"SET {setting} = '{value}'")
                times[name].append(timed(partial(search, vector))[1])
                with connection.cursor() as cursor:
                    cursor.execute("RESET ALL")
        for name in SETTINGS:
            yield _ratio(f"{title}, {case}: {name}", times[name][1:], times[""][1:])


def beside(title: str, own: Mapping[str, Search], others: Mapping[str, Search], probes: Vector) -> Iterator[Row]:
    for case, search in own.items():
        pairs = [(timed(partial(search, vector))[1], timed(partial(others[case], vector))[1]) for vector in probes]
        yield _ratio(f"{title}, {case}, beside one table", [a for a, _ in pairs[1:]], [b for _, b in pairs[1:]])


def bare_rows() -> Iterator[Row]:
    account = account_create(login=f"{uuid4().hex}@luna.test", password="benchmark")
    row: List = List.objects.create(account=account, link_key=ROWS)
    started = time.perf_counter()
    for first in range(0, ROWS, BULK_ROWS):
        count = min(BULK_ROWS, ROWS - first)
        with connection.cursor() as cursor:
            cursor.execute(BULK, {"account": account.account_id, "list": row.pk, "first": first, "count": count})
    title = f"{ROWS:,} faces in a list, no descriptors"
    yield Row(f"{title}: inserted and linked", ROWS / (time.perf_counter() - started), "1/s")
    yield _timed(f"{title}: VACUUM ANALYZE of faces", "VACUUM ANALYZE faces_face")
    yield _timed(f"{title}: VACUUM ANALYZE of links", "VACUUM ANALYZE faces_listface")
    analyze()
    yield from sizes(title, ROWS, ["faces_face", "faces_listface"])
    yield from pages(title, account.account_id, row)
    members = members_of(scope=Scope(account.account_id), filters={"list_id": row.list_id})
    yield _timed(f"{title}: keys of the list", KEYS.format(members[0].sql), members[0].parameters)
    yield _timed(
        f"{title}: 100,000 faces unlinked",
        "DELETE FROM faces_listface WHERE list_id = %s AND link_key <= 100000",
        (row.pk,),
    )
    yield _timed(f"{title}: VACUUM of links afterwards", "VACUUM faces_listface")


def pages(title: str, account_id: UUID, row: List) -> Iterator[Row]:
    read = partial(selectors.faces_page, scope=Scope(account_id), filters={"list_id": row.list_id})
    for name, number in (("first", 1), ("last", ROWS // 100)):
        times = [timed(partial(read, page=Page(number, 100)))[1] for _ in range(11)]
        yield Row(f"{title}: {name} page of 100, p50", percentile(times[1:], 50), "ms")


def sizes(title: str, rows: int, tables: Sequence[str]) -> Iterator[Row]:
    for table in tables:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_table_size(%s::regclass), pg_indexes_size(%s::regclass)", [table, table])
            heap, indexes = cursor.fetchone()
        yield Row(f"{title}: {table}", heap / rows, "bytes/row")
        yield Row(f"{title}: … its indexes", indexes / rows, "bytes/row")


def _timed(name: str, statement: str, parameters: Sequence[object] = ()) -> Row:
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)  # type: ignore[arg-type]
    return Row(name, time.perf_counter() - started, "s")


def _ratio(name: str, own: Sequence[float], others: Sequence[float]) -> Row:
    value, baseline = percentile(own, 50), percentile(others, 50)
    return Row(name, value, "ms", baseline, percentile([a / b for a, b in zip(own, others, strict=True)], 50))
