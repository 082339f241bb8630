"""Matching in a large list in memory, beside the database, FAISS and USearch: run by name.

`LUNA_BENCH_FACES=100000,1000000` and `LUNA_BENCH_DIMENSIONS=128,512` choose the sizes (default: 100,000 of both). All
run on one pinned core and alternate, so that other load affects all equally. Ratios compare the CPU time of scans and
the wall-clock time of whole searches.

Descriptors are normal in their principal components with a spectrum that falls like 1/(i + 4), as that of face
descriptors does, in random coordinates. A known person's descriptor has a cosine of .75 to the stored one.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection

from apps.accounts.services import account_create, account_delete
from apps.common.config import override_config
from apps.common.descriptors import Calibration, DescriptorVersion, Vector, versions
from apps.common.scope import Scope
from apps.faces.models import List
from apps.matching.config import DescriptorsCache
from apps.matching.engine.cached import CachedMatcher, service
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.segments.builder import Builder
from apps.matching.segments.codes import Floats
from apps.matching.segments.files import segments_root
from apps.matching.segments.scan import proposals
from apps.matching.types import FaceCandidates
from tests.perf.report import Row, percentile

logger = logging.getLogger(__name__)

ROUNDS = int(os.environ.get("LUNA_BENCH_ROUNDS", "9"))
SQL_ROUNDS = 5
SQL_ROUNDS_OF_LARGE = 1  # a scan of a million 512-d rows takes seconds
LARGE = 200_000
BATCH = 30
KNOWN_COSINE = 0.75
THRESHOLD = 0.5
BATCH_ROWS = 20_000


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


def spectrum(dimension: int) -> Callable[[np.random.Generator, int], Floats]:
    """Return a source of unit vectors, float32 [n, d]."""
    spread = ((np.arange(dimension) + 4.0) ** -0.5).astype(np.float32)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((dimension, dimension)))

    def drawn(random: np.random.Generator, count: int) -> Floats:
        vectors = random.standard_normal((count, dimension), dtype=np.float32) * spread @ rotation.T.astype(np.float32)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    return drawn


def measure(faces: int, dimension: int) -> list[Row]:
    version = DescriptorVersion(
        900_100 + dimension, "face", "benchmark", dimension, "float32-le", Calibration(((-1, 0), (1, 1)))
    )
    versions.register(version, default=True)
    drawn, random = spectrum(dimension), np.random.default_rng(2026)
    account = account_create(login=f"segments{faces}x{dimension}@luna.test", password="benchmark")
    stored = np.concatenate([drawn(random, min(BATCH_ROWS, faces - at)) for at in range(0, faces, BATCH_ROWS)])
    try:
        row = fill(account.account_id, version, stored)
        name = f"{faces:,} × {dimension}"
        started = time.perf_counter()
        Builder(segments_root()).step()
        built_s = time.perf_counter() - started
        started = time.perf_counter()
        service().copies.refresh()
        mapped_s = time.perf_counter() - started
        million = 1e6 / faces
        rows = [
            Row(f"{name}: built from the database", built_s * million, "s/million", goal="<= 40"),
            Row(f"{name}: mapped, checksums compared", mapped_s * million, "s/million", goal="<= 2"),
            Row(
                f"{name}: memory", service().copies.all()[0].manifest.bytes * million / 1e9, "GB/million", goal="<= 1.2"
            ),
        ]
        strangers = drawn(random, BATCH)
        known = KNOWN_COSINE * stored[:: max(1, faces // BATCH)][:BATCH] + drawn(random, BATCH) * 0.66
        known = (known / np.linalg.norm(known, axis=1, keepdims=True)).astype(np.float32)
        for each in scans(name, stored, known, strangers):
            logger.info("%s", each)
            rows.append(each)
        rows += searches(name, faces, row, Scope(account.account_id), version, known)
    finally:
        account_delete(account=account)
        Builder(segments_root()).step()
        service().copies.refresh()
    return rows


def mapped_bytes() -> int:
    return sum(each.manifest.bytes for each in service().copies.all())


def fill(account_id: UUID, version: DescriptorVersion, stored: Floats) -> List:
    """Insert faces with descriptors and link them to a list, by COPY."""
    row: List = List.objects.create(account_id=account_id, link_key=len(stored))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO faces_face "
            "(account_id, face_id, external_id, user_data, avatar, create_time, last_update_time) "
            "SELECT %s, gen_random_uuid(), '', 'group ' || n %% 10, '', now(), now() FROM generate_series(1, %s) n "
            "RETURNING id",
            [account_id, len(stored)],
        )
        keys = sorted(key for (key,) in cursor.fetchall())
        kind = np.dtype(
            [
                *(("fields", ">i2"), ("a", ">i4"), ("face", ">i8"), ("b", ">i4"), ("version", ">i4")),
                *(("c", ">i4"), ("generation", ">i4"), ("d", ">i4"), ("size", ">i2"), ("unused", ">i2")),
                ("vector", ">f4", (version.dimension,)),
            ]
        )
        statement = "COPY faces_facedescriptor (face_id, version, generation, vector) FROM STDIN (FORMAT BINARY)"
        with cursor.copy(statement) as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for at in range(0, len(stored), BATCH_ROWS):
                part = np.zeros(len(stored[at : at + BATCH_ROWS]), kind)
                part["fields"], part["a"], part["b"], part["c"] = 4, 8, 4, 4
                part["d"], part["size"] = 4 + 4 * version.dimension, version.dimension
                part["face"], part["version"] = keys[at : at + BATCH_ROWS], version.version
                part["vector"] = stored[at : at + BATCH_ROWS]
                copy.write(part.tobytes())
            copy.write(b"\xff\xff")
        cursor.execute(
            "INSERT INTO faces_listface (list_id, face_id, link_key, link_time) "
            "SELECT %s, key, place, now() FROM unnest(%s::bigint[]) WITH ORDINALITY AS given(key, place)",
            [row.pk, keys],
        )
        cursor.execute("ANALYZE faces_face, faces_facedescriptor, faces_list, faces_listface")
    return row


def scans(name: str, stored: Floats, known: Floats, strangers: Floats) -> Iterator[Row]:
    """CPU time of scans of codes beside other libraries in the same turns."""
    import faiss
    import usearch.index
    from usearch.compiled import MetricKind

    dimension = stored.shape[1]
    copy = service().copies.all()[0]
    parts = [(each.segment, dead, None) for each, dead in zip(copy.segments, copy.state.dead, strict=True)]
    loose = np.empty(0, np.int64), np.empty((0, dimension), np.float32)
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(dimension)
    flat.add(stored)
    coarse = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    coarse.train(stored[:20_000])
    coarse.add(stored)
    codes = copy.segments[0].segment.codes

    def own(vectors: Floats, limit: int, threshold: float = -1.0) -> Callable[[], Any]:
        return lambda: proposals(parts, loose, vectors, limit, threshold)

    one, batch = "FAISS IndexFlatIP, top 5", f"FAISS IndexFlatIP, top 5, batch of {BATCH}"
    ways: dict[str, tuple[Callable[[], Any], str, str]] = {
        one: (lambda: flat.search(strangers[:1], 5), one, ""),
        batch: (lambda: flat.search(strangers, 5), batch, ""),
        "FAISS SQ8, top 5": (lambda: coarse.search(strangers[:1], 5), one, ""),
        "USearch exact int8, top 5": (
            lambda: usearch.index.search(codes, codes[:1], 5, MetricKind.IP, exact=True, threads=1),
            one,
            "",
        ),
        "reading the codes": (lambda: codes.reshape(-1).view(np.int64).max(), one, ""),
        "own, top 5, stranger": (own(strangers[:1], 5), one, "<= .30"),
        "own, top 5, known": (own(known[:1], 5), one, "<= .30"),
        "own, top 100": (own(strangers[:1], 100), one, "<= .33"),
        f"own, top 5, cosine {THRESHOLD}": (own(known[:1], 5, THRESHOLD), one, "<= .17"),
        f"own, top 5, batch of {BATCH}": (own(strangers, 5), batch, "<= .125"),
        f"own, top 5, cosine {THRESHOLD}, batch of {BATCH}": (own(known, 5, THRESHOLD), batch, "<= .125"),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(ROUNDS + 1):
        for way, (call, _, _) in ways.items():
            started = time.process_time()
            call()
            if turn:
                times[way].append((time.process_time() - started) * 1e3)
    for way, (_, base, goal) in ways.items():
        value, baseline = percentile(times[way], 50), percentile(times[base], 50)
        ratio = percentile([mine / other for mine, other in zip(times[way], times[base], strict=True)], 50)
        yield Row(f"{name}: {way}", value, "ms", baseline, ratio, goal)


def searches(
    name: str, faces: int, row: List, scope: Scope, version: DescriptorVersion, known: Floats
) -> Iterator[Row]:
    """Whole searches, PostgreSQL's decision included, beside the same searches in the database."""
    everything = {"list_id": row.list_id}
    cases: list[tuple[str, dict[str, Any], list[Vector], int, float]] = [
        ("top 5", everything, [known[0]], 5, -1.0),
        (f"top 5, cosine {THRESHOLD}", everything, [known[0]], 5, THRESHOLD),
        ("top 100", everything, [known[0]], 100, -1.0),
        (f"top 5, batch of {BATCH}", everything, list(known), 5, -1.0),
        ("top 5, a tenth passes a filter", everything | {"user_data": "group 3"}, [known[0]], 5, -1.0),
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
