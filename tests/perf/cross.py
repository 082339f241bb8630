"""Cross-matching of faces with faces, beside NumPy's bare products.

`LUNA_BENCH_REFERENCES` × `LUNA_BENCH_FACES` (10,000 each: 10⁸ pairs) of `LUNA_BENCH_DIMENSION` (128) numbers; every
reference is another picture of one candidate. Top 3 above a cosine of .45, descriptors of `tests/perf/people.py`. The
baseline multiplies the same float32 blocks, without looking at the products.
"""

import os
import time
from uuid import uuid4

import numpy as np
from django.db import connections

from apps.accounts.models import Account
from apps.accounts.services import account_create, account_delete
from apps.common.descriptors import DescriptorVersion
from apps.common.scope import Scope
from apps.matching.cross import BLOCK_BYTES, cross_match, group_rows
from apps.matching.segments.codes import Floats
from apps.matching.types import FaceCandidates
from tests.perf.events import PASSWORD
from tests.perf.filling import analyze, faces_fill, version_register
from tests.perf.people import MATCH_COSINE, population
from tests.perf.report import Row

REFERENCES = int(os.environ.get("LUNA_BENCH_REFERENCES", "10000"))
FACES = int(os.environ.get("LUNA_BENCH_FACES", "10000"))
DIMENSION = int(os.environ.get("LUNA_BENCH_DIMENSION", "128"))
LIMIT = 3
GOAL_PAIRS = 10**8


def bench() -> list[Row]:
    version = version_register(DIMENSION)
    people, random = population(DIMENSION), np.random.default_rng(FACES)
    stored = people.people(random, FACES)
    asked = people.again(random, stored[random.integers(0, FACES, REFERENCES)])
    accounts = [account_create(login=f"{uuid4().hex}@luna.test", password=PASSWORD) for _ in range(2)]
    try:
        for account, vectors in zip(accounts, (asked, stored), strict=True):
            faces_fill(account.account_id, version.version, vectors)
        analyze()
        wall, cpu = matched(accounts, version)
    finally:
        for account in accounts:
            account_delete(account=account)
        connections.close_all()
    bare_wall, bare_cpu = products(asked, stored)
    pairs = REFERENCES * FACES
    title = f"cross-matching, {REFERENCES:,} × {FACES:,} faces, {DIMENSION} numbers"
    return [
        Row(title, wall, "s", bare_wall, wall / bare_wall, "<= 20" if pairs == GOAL_PAIRS else ""),
        Row("… CPU time without the database", cpu, "s", bare_cpu, cpu / bare_cpu),
    ]


def matched(accounts: list[Account], version: DescriptorVersion) -> tuple[float, float]:
    """Return the seconds and CPU seconds of the matching."""
    references, candidates = (FaceCandidates(scope=Scope(account.account_id)) for account in accounts)
    threshold = version.calibration.similarity(MATCH_COSINE)
    wall, cpu = time.perf_counter(), time.process_time()
    found = cross_match(references=references, candidates=candidates, version=version, limit=LIMIT, threshold=threshold)
    hits = sum(1 for _ in found)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if hits < REFERENCES / 2:
        raise RuntimeError(f"only {hits} references have a match")
    return wall, cpu


def products(references: Floats, candidates: Floats) -> tuple[float, float]:
    """Return the seconds and CPU seconds of the bare products."""
    rows, columns = group_rows(LIMIT), BLOCK_BYTES // (4 * DIMENSION)
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(references), rows):
        for first in range(0, len(candidates), columns):
            _ = references[start : start + rows] @ candidates[first : first + columns].T
    return time.perf_counter() - wall, time.process_time() - cpu
