"""Matching in a large list in memory, beside the database, pgvector, FAISS and USearch: run by name.

`LUNA_BENCH_FACES=10000,100000,1000000` and `LUNA_BENCH_DIMENSIONS=128,512` choose the sizes (default: 100,000 of both).
HNSW is measured up to `LUNA_BENCH_HNSW_FACES` (100,000), because it takes minutes to build. All scans run on one pinned
core and alternate, so that other load affects all equally. Ratios of scans compare CPU time, those of searches that
PostgreSQL takes part in the wall-clock time.

Descriptors: `tests/perf/people.py`. The threshold of similarity .8 is the cosine of the embedded network in 128-d. In
512-d it is the cosine that as many pairs of strangers reach.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import numpy as np
from django.db import connection
from pgvector import Vector as PgVector

from apps.accounts.services import account_create, account_delete
from apps.common.config import override_config
from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.prepared import planned_cursor
from apps.common.scope import Scope
from apps.faces.models import List
from apps.matching.config import DescriptorsCache
from apps.matching.engine.cached import CachedMatcher, service
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.segments.builder import Builder
from apps.matching.segments.codes import Floats
from apps.matching.segments.files import segments_root
from apps.matching.types import FaceCandidates
from tests.perf.filling import faces_fill, list_fill, version_register
from tests.perf.people import MATCH_COSINE, Population, population
from tests.perf.report import Row, percentile
from tests.perf.scans import ANY, BATCH, LIMITS, PROBES, Probes, scans

logger = logging.getLogger(__name__)

SQL_ROUNDS = 5
SQL_ROUNDS_OF_LARGE = 1  # a scan of a million 512-d rows takes seconds
LARGE = 200_000
HNSW_FACES = int(os.environ.get("LUNA_BENCH_HNSW_FACES", "100000"))
EF_SEARCH = 100
PAIRS = 3000  # strangers on each side, from which the cosine of similarity .8 is computed in 512-d


def bench() -> list[Row]:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sizes = [int(text) for text in os.environ.get("LUNA_BENCH_FACES", "100000").split(",")]
    dimensions = [int(text) for text in os.environ.get("LUNA_BENCH_DIMENSIONS", "128,512").split(",")]
    rows: list[Row] = []
    for dimension in dimensions:
        for faces in sizes:
            with override_config(DescriptorsCache, memory_limit=2**40):
                rows += measure(faces, dimension)
    return rows


def measure(faces: int, dimension: int) -> list[Row]:
    version = version_register(dimension)
    people, random = population(dimension), np.random.default_rng(2026)
    stored = people.people(random, faces)
    probes = Probes(people.people(random, PROBES), people.again(random, stored[:: max(1, faces // PROBES)][:PROBES]))
    cosine = match_cosine(people)
    account = account_create(login=f"{uuid4().hex}@luna.test", password="benchmark")
    name = f"{faces:,} × {dimension}"
    try:
        row = list_fill(account.account_id, faces_fill(account.account_id, version.version, stored))
        rows = [*building(name, faces), Row(f"{name}: cosine of similarity .8", cosine, "")]
        for each in scans(name, stored, service().copies.all()[0], probes, cosine):
            logger.info("%s", each)
            rows.append(each)
        rows += searches(name, faces, row, Scope(account.account_id), version, probes, cosine)
        rows += bare(name, faces, row, Scope(account.account_id), version, probes)
    finally:
        account_delete(account=account)
        Builder(segments_root()).step()
        service().copies.refresh()
    return rows


def match_cosine(people: Population) -> float:
    """Return the cosine of similarity .8."""
    random = np.random.default_rng(7)

    def strangers(each: Population) -> Floats:
        return (each.people(random, PAIRS) @ each.people(random, PAIRS).T).ravel()

    embedded = population(128)
    if people.dimension == embedded.dimension:
        return MATCH_COSINE
    return float(np.quantile(strangers(people), np.mean(strangers(embedded) < MATCH_COSINE)))


def building(name: str, faces: int) -> Iterator[Row]:
    million = 1e6 / faces
    started, cpu = time.perf_counter(), time.process_time()
    Builder(segments_root()).step()
    built_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    yield Row(f"{name}: built from the database", built_s * million, "s/million", goal="<= 40")
    yield Row(f"{name}: … the builder's CPU time", cpu_s * million, "s/million")
    started = time.perf_counter()
    service().copies.refresh()
    mapped_s = time.perf_counter() - started
    yield Row(f"{name}: mapped, checksums compared", mapped_s * million, "s/million", goal="<= 2")
    size = service().copies.all()[0].manifest.bytes * million / 1e9
    yield Row(f"{name}: memory", size, "GB/million", goal="<= 1.2")


def searches(
    name: str, faces: int, row: List, scope: Scope, version: DescriptorVersion, probes: Probes, cosine: float
) -> Iterator[Row]:
    """Whole searches, PostgreSQL's decision included, beside the same searches in the database."""
    everything, known = {"list_id": row.list_id}, [probes.known[0]]
    cases: list[tuple[str, dict[str, Any], list[Vector], int, float]] = [
        ("top 5", everything, known, 5, ANY),
        ("top 5, stranger", everything, list(probes.strangers[:1]), 5, ANY),
        ("top 5, similarity .8", everything, known, 5, cosine),
        ("top 100", everything, known, 100, ANY),
        (f"top 5, batch of {BATCH}", everything, list(probes.batch), 5, ANY),
        ("top 5, a tenth passes a filter", everything | {"user_data": "group 3"}, known, 5, ANY),
    ]
    for case, filters, vectors, limit, threshold in cases:
        arguments = (FaceCandidates(scope=scope, filters=filters), version, vectors, limit, threshold)
        own_ms, sql_ms = [], []
        if faces > LARGE and len(vectors) > 1:
            continue
        rounds = SQL_ROUNDS_OF_LARGE if faces > LARGE else SQL_ROUNDS if len(vectors) == 1 else 2
        for turn in range(rounds + 1):
            started = time.perf_counter()
            found = CachedMatcher().search(*arguments)
            own_ms.append((time.perf_counter() - started) * 1e3)
            started = time.perf_counter()
            expected = DatabaseMatcher().search(*arguments)
            sql_ms.append((time.perf_counter() - started) * 1e3)
            if turn and found != expected:
                raise AssertionError("memory and database disagree")
        value, baseline = percentile(own_ms[1:], 50), percentile(sql_ms[1:], 50)
        yield Row(f"{name}: search, {case}, beside the database", value, "ms", baseline, value / baseline)
    answers = service().answers
    yield Row(f"{name}: answers left to the database", answers["database"] + answers["failed"], "")


def bare(name: str, faces: int, row: List, scope: Scope, version: DescriptorVersion, probes: Probes) -> Iterator[Row]:
    """Searches in memory beside pgvector alone: the same descriptors in a table of their own, without and with HNSW."""
    candidates = FaceCandidates(scope=scope, filters={"list_id": row.list_id})
    with bare_table(version):
        exact = {limit: [nearest_bare(version, vector, limit) for vector in probes.batch] for limit in LIMITS}
        for limit in LIMITS:
            yield _beside(
                f"{name}: search, top {limit}, beside bare pgvector, exact", candidates, version, limit, probes
            )
        if faces > HNSW_FACES:
            return
        started = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute(f"SET maintenance_work_mem = '{faces * (version.dimension * 4 + 400) // 1024 + 65536}kB'")
            cursor.execute(f"CREATE INDEX ON bare USING hnsw ((vector::vector({version.dimension})) vector_ip_ops)")
            cursor.execute(f"SET hnsw.ef_search = {EF_SEARCH}")
        yield Row(f"{name}: HNSW of pgvector, built", (time.perf_counter() - started) * 1e6 / faces, "s/million")
        for limit in LIMITS:
            case = f"{name}: search, top {limit}, beside HNSW of pgvector, ef {EF_SEARCH}"
            yield _beside(case, candidates, version, limit, probes)
            found = [nearest_bare(version, vector, limit) for vector in probes.batch]
            recall = np.mean([len(set(a) & set(b)) / limit for a, b in zip(found, exact[limit], strict=True)])
            yield Row(f"{name}: … recall of HNSW", float(recall), "")


@contextmanager
def bare_table(version: DescriptorVersion) -> Iterator[None]:
    """Keep the descriptors of a version in a table of face keys and vectors, as a user of pgvector alone would."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE bare (face_id bigint, vector vector({version.dimension}))")
        cursor.execute("ALTER TABLE bare ALTER vector SET STORAGE PLAIN")
        cursor.execute(
            "INSERT INTO bare SELECT face_id, vector FROM faces_facedescriptor WHERE version = %s", [version.version]
        )
        cursor.execute("ANALYZE bare")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE bare")


def nearest_bare(version: DescriptorVersion, vector: Vector, limit: int) -> list[int]:
    statement = f"SELECT face_id FROM bare ORDER BY vector::vector({version.dimension}) <#> %s LIMIT %s"  # noqa: S608
    parameters: list[Any] = [PgVector(vector), limit]
    with planned_cursor() as cursor:
        cursor.execute(statement, parameters)
        return [key for (key,) in cursor.fetchall()]


def _beside(case: str, candidates: FaceCandidates, version: DescriptorVersion, limit: int, probes: Probes) -> Row:
    own_ms, bare_ms = [], []
    for vector in probes.batch[: SQL_ROUNDS + 1]:
        own_ms.append(_ms(lambda: CachedMatcher().search(candidates, version, [vector], limit, ANY)))  # noqa: B023
        bare_ms.append(_ms(lambda: nearest_bare(version, vector, limit)))  # noqa: B023
    value, baseline = percentile(own_ms[1:], 50), percentile(bare_ms[1:], 50)
    return Row(case, value, "ms", baseline, value / baseline)


def _ms(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3
