"""Approximate indexes beside an exact comparison: HNSW of USearch and pgvector, IVF of FAISS. Run by name.

`LUNA_BENCH_FACES` is the number of descriptors (default 100,000; pgvector has at most that many), with 512 numbers and
a spectrum that falls. Times are CPU time of one search on one thread, and of building; pgvector's are wall-clock
time, because another process searches. Recall is that of the 5 nearest of strangers, and of the stored descriptor of
known people.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from apps.common.descriptors import Vector
from tests.perf.report import Row, percentile

logger = logging.getLogger(__name__)

DIMENSION, TOP, ASKED = 512, 5, 100
MAX_ROWS_OF_SQL = 100_000
ROUNDS = 15
KNOWN_COSINE = 0.75
Search = Callable[[Vector], NDArray[np.integer]]  # one vector [1, d] → the numbers of the rows found


def bench() -> list[Row]:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    count = int(os.environ.get("LUNA_BENCH_FACES", "100000"))
    drawn, random = spectrum(DIMENSION), np.random.default_rng(2026)
    stored = np.concatenate([drawn(random, min(20_000, count - at)) for at in range(0, count, 20_000)])
    strangers = drawn(random, ASKED)
    places = np.arange(ASKED) * (count // ASKED)
    known = KNOWN_COSINE * stored[places] + drawn(random, ASKED) * 0.66
    known = (known / np.linalg.norm(known, axis=1, keepdims=True)).astype(np.float32)
    import faiss

    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(stored)
    truth = flat.search(strangers, TOP)[1]
    rows = []
    ways = libraries(stored)
    if os.environ.get("LUNA_BENCH_SQL", "1") == "1":
        ways = chain_of(ways, in_database(stored[:MAX_ROWS_OF_SQL])) if count <= MAX_ROWS_OF_SQL else ways
    for name, search, built_s, clock in ways:
        found = (
            np.mean([len(np.intersect1d(search(strangers[row : row + 1]), truth[row])) for row in range(ASKED)]) / TOP
        )
        met = np.mean([place in search(known[row : row + 1]) for row, place in enumerate(places)])
        own, base = [], []
        for turn in range(ROUNDS):
            started = time.process_time()
            flat.search(strangers[turn : turn + 1], TOP)
            base.append((time.process_time() - started) * 1e3)
            started = clock()
            search(strangers[turn : turn + 1])
            own.append((clock() - started) * 1e3)
        ratio = percentile([mine / other for mine, other in zip(own, base, strict=True)], 50)
        what = f"{count:,}: {name}; recall {found:.3f} strangers, {met:.3f} known; built in {built_s:.0f} s"
        rows.append(Row(what, percentile(own, 50), "ms", percentile(base, 50), ratio))
        logger.info("%s", rows[-1])
    return rows


def chain_of(*parts: Iterator[Any]) -> Iterator[Any]:
    for part in parts:
        yield from part


def spectrum(dimension: int) -> Callable[[np.random.Generator, int], Vector]:
    """Return a source of unit vectors, float32 [n, d], whose variances fall like 1/(i + 4) in random coordinates."""
    spread = ((np.arange(dimension) + 4.0) ** -0.5).astype(np.float32)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((dimension, dimension)))

    def drawn(random: np.random.Generator, count: int) -> Vector:
        vectors = random.standard_normal((count, dimension), dtype=np.float32) * spread @ rotation.T.astype(np.float32)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    return drawn


def libraries(stored: Vector) -> Iterator[tuple[str, Search, float, Callable[[], float]]]:
    import faiss
    from usearch.index import Index

    cells = int(4 * len(stored) ** 0.5) // 64 * 64
    for kind in (f"IVF{cells},Flat", f"IVF{cells},SQ8", f"PCAR256,IVF{cells},PQ128x4fs"):
        started = time.process_time()
        index = faiss.index_factory(DIMENSION, kind, faiss.METRIC_INNER_PRODUCT)
        index.train(stored[:: max(1, len(stored) // 100_000)])
        index.add(stored)
        built_s = time.process_time() - started
        inner = faiss.extract_index_ivf(index)
        for share in (0.02, 0.08, 0.25):
            inner.nprobe = max(1, int(cells * share))

            def search(vector: Vector, index: Any = index, top: int = 1000 if "fs" in kind else TOP) -> Any:
                return index.search(vector, top)[1][0]

            yield f"FAISS {kind}, {share:.0%} of the cells", search, built_s, time.process_time
        del index
    started = time.process_time()
    graph = Index(ndim=DIMENSION, metric="ip", dtype="i8", connectivity=16, expansion_add=128)
    graph.add(np.arange(len(stored)), stored, threads=1)
    built_s = time.process_time() - started
    for width in (64, 256, 1024):
        setattr(graph, "expansion_search", width)  # noqa: B010 (typed as read-only)

        def walk(vector: Vector, width: int = width) -> Any:
            return graph.search(vector[0], min(width, 64), threads=1).keys

        yield f"USearch HNSW i8, 64 re-ranked, width {width}", walk, built_s, time.process_time


def in_database(stored: Vector) -> Iterator[tuple[str, Search, float, Callable[[], float]]]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE nearby (id int, vector vector({DIMENSION})) ON COMMIT DROP")
        kind = np.dtype(
            [
                *(("fields", ">i2"), ("a", ">i4"), ("id", ">i4"), ("size", ">i4"), ("dimension", ">i2")),
                *(("unused", ">i2"), ("vector", ">f4", (DIMENSION,))),
            ]
        )
        with cursor.copy("COPY nearby FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for at in range(0, len(stored), 10_000):
                part = np.zeros(len(stored[at : at + 10_000]), kind)
                part["fields"], part["a"], part["size"], part["dimension"] = 2, 4, 4 + 4 * DIMENSION, DIMENSION
                part["id"], part["vector"] = np.arange(at, at + len(part)), stored[at : at + len(part)]
                copy.write(part.tobytes())
            copy.write(b"\xff\xff")
        cursor.execute("SET LOCAL maintenance_work_mem = '1GB'")
        cursor.execute("SET LOCAL max_parallel_maintenance_workers = 0")
        started = time.perf_counter()
        cursor.execute("CREATE INDEX ON nearby USING hnsw (vector vector_ip_ops) WITH (m = 16, ef_construction = 64)")
        built_s = time.perf_counter() - started
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
        for width in (40, 200, 1000):
            cursor.execute("SELECT set_config('hnsw.ef_search', %s, true)", [str(width)])

            def search(vector: Vector) -> Any:
                text = "[" + ",".join(map(str, vector[0].tolist())) + "]"
                cursor.execute("SELECT id FROM nearby ORDER BY vector <#> %s::vector LIMIT %s", [text, TOP])
                return np.array([key for (key,) in cursor.fetchall()])

            yield f"pgvector HNSW, iterative, ef_search {width} (wall clock)", search, built_s, time.perf_counter
