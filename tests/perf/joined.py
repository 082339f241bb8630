"""Eight clients that match in one list of 10,000 and of 100,000 faces in memory: alone, and scanned together.

It runs by name: `python -m tests.perf joined`.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import numpy as np
from django.db import connection

from apps.accounts.services import account_create, account_delete
from apps.common.config import override_config
from apps.common.descriptors import DescriptorVersion
from apps.common.scope import Scope
from apps.matching.config import DescriptorsCache, MatchingSettings
from apps.matching.engine.cached import CachedMatcher, service
from apps.matching.segments.builder import Builder
from apps.matching.segments.files import segments_root
from apps.matching.types import FaceCandidates
from tests.perf.filling import faces_fill, list_fill, version_register
from tests.perf.list_among_many import DIMENSION, vectors_of
from tests.perf.report import Row, percentile

CLIENTS, SECONDS, ROUNDS = 8, 3.0, 3
WAYS = {
    "alone": MatchingSettings(thread_count=CLIENTS, batch_size=1),
    "together": MatchingSettings(thread_count=2, batch_size=20),
}


def bench() -> list[Row]:
    return [row for faces in (10_000, 100_000) for row in measure(faces)]


def measure(faces: int) -> Iterator[Row]:
    version = version_register(DIMENSION)
    vectors = vectors_of(np.random.default_rng(2026), faces)
    account = account_create(login=f"{uuid4().hex}@luna.test", password="benchmark")
    try:
        row = list_fill(account.account_id, faces_fill(account.account_id, version.version, vectors))
        with ExitStack() as stack:
            stack.enter_context(override_config(DescriptorsCache, memory_limit=2**40))
            Builder(segments_root()).step()
            service().copies.refresh()
            candidates = FaceCandidates(scope=Scope(account.account_id), filters={"list_id": row.list_id})
            figures: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
            for _ in range(ROUNDS):  # in turns, so that other load affects both
                for way, settings in WAYS.items():
                    with override_config(DescriptorsCache, memory_limit=2**40, matching_settings=settings):
                        figures[way].append(load(candidates, version))
    finally:
        account_delete(account=account)
        Builder(segments_root()).step()
        service().copies.refresh()
    alone, together = (np.median(figures[way], axis=0) for way in WAYS)
    names = (("requests/s", ""), ("p50", "ms"), ("CPU time of this process per request", "ms"))
    for (name, unit), before, after in zip(names, alone, together, strict=True):
        title = f"{CLIENTS} clients, list of {faces:,} × {DIMENSION}: {name}, scanned together and alone"
        yield Row(title, after, unit, before, after / before)


def load(candidates: FaceCandidates, version: DescriptorVersion) -> tuple[float, float, float]:
    """Return requests per second, the median in ms, and the CPU time per request in ms."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS

    def client(seed: int) -> None:
        probes = vectors_of(np.random.default_rng(seed), 64)
        number = 0
        try:
            while time.perf_counter() < end:
                started = time.perf_counter()
                CachedMatcher().search(candidates, version, [probes[number % len(probes)]], 5, -1.0)
                times.append(time.perf_counter() - started)
                number += 1
        finally:
            connection.close()

    cpu = time.process_time()
    clients = [threading.Thread(target=client, args=(seed,)) for seed in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    cpu = time.process_time() - cpu
    return len(times) / SECONDS, percentile(times, 50) * 1e3, cpu / len(times) * 1e3
