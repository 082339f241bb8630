"""Clustering of faces by the task type, beside NumPy's bare products of all pairs.

`LUNA_BENCH_FACES` (100,000) faces of `LUNA_BENCH_DIMENSION` (128) numbers: two pictures of each person, of
`tests/perf/people.py`. A process of its own executes the type on stored faces, checkpoints included. The baseline
multiplies float32 blocks of all pairs with as many threads, without looking at the products; of more than
`BASELINE_FACES` faces a part of the blocks, and the time is scaled. CPU times are of all threads.
"""

import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import numpy as np
from django.db import connections

from apps.accounts.services import account_create, account_delete
from apps.common.processors import usable_processors
from apps.common.scope import Scope
from apps.matching.engine.components import STRIPE_ROWS, units
from apps.matching.segments.codes import Floats
from tests.perf.events import PASSWORD, ROOT
from tests.perf.filling import REGISTER, analyze, faces_fill, version_register
from tests.perf.people import population
from tests.perf.report import Row

FACES = int(os.environ.get("LUNA_BENCH_FACES", "100000"))
DIMENSION = int(os.environ.get("LUNA_BENCH_DIMENSION", "128"))
COSINE = float(os.environ.get("LUNA_BENCH_COSINE", "0.75"))
BASELINE_FACES = 100_000
BATCH_FACES = 100_000
GOALS = {(100_000, 128): "<= 60", (1_000_000, 128): "<= 2,400"}
CODE = """
{}
from tests.perf.clustering import run
run("{}")
"""


def bench() -> list[Row]:
    version = version_register(DIMENSION)
    account = account_create(login=f"{uuid4().hex}@luna.test", password=PASSWORD)
    random, people = np.random.default_rng(FACES), population(DIMENSION)
    try:
        for start in range(0, FACES, BATCH_FACES):
            count = min(BATCH_FACES, FACES - start)
            persons = people.people(random, -(-count // 2))
            stored = random.permutation(np.concatenate((persons, people.again(random, persons)))[:count])
            faces_fill(account.account_id, version.version, stored)
        analyze()
        code = CODE.format(REGISTER.format(DIMENSION), account.account_id)
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
    finally:
        account_delete(account=account)
        connections.close_all()
    wall, cpu = products(stored)
    title = f"clustering, {FACES:,} × {DIMENSION}"
    return [
        Row(title, found["wall"], "s", wall, found["wall"] / wall, GOALS.get((FACES, DIMENSION), "")),
        Row("… CPU time of all threads", found["cpu"], "s", cpu, found["cpu"] / cpu),
        Row("… memory of the process", found["memory"], "GB", goal="<= 1.5"),
        Row("… clusters", found["clusters"], ""),
        Row("… largest cluster", found["largest"], ""),
    ]


def run(account_id: str) -> None:
    """Execute the type on all faces of an account, and print the figures as JSON."""
    from apps.tasks.types.clustering import TYPE
    from tests.tasks_run import run_task

    version = version_register(DIMENSION)
    content = {"objects_type": "faces", "threshold": version.calibration.similarity(COSINE)}
    wall, cpu = time.perf_counter(), time.process_time()
    outcome = run_task(TYPE, content, scope=Scope(UUID(account_id)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    clusters = outcome.result["clusters"]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(
        json.dumps({"wall": wall, "cpu": cpu, "memory": memory, "clusters": len(clusters), "largest": len(clusters[0])})
    )


def products(vectors: Floats) -> tuple[float, float]:
    """Return the seconds and CPU seconds of float32 products of all pairs of `FACES` faces."""
    rows = vectors[:BASELINE_FACES]
    stripes = [rows[start : start + STRIPE_ROWS] for start in range(0, len(rows), STRIPE_ROWS)]
    wall, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(usable_processors()) as pool:
        for _ in pool.map(lambda unit: (stripes[unit[0]] @ stripes[unit[1]].T).shape, units(len(rows))):
            pass
    scale = (FACES / len(rows)) ** 2
    return (time.perf_counter() - wall) * scale, (time.process_time() - cpu) * scale
