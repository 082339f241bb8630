"""Settings of lists in memory and of fast matching."""

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from apps.accounts.models import Account
from apps.common.descriptors import versions
from apps.common.scope import Scope
from apps.faces.models import List
from apps.faces.services import list_create
from apps.matching.engine import cached
from apps.matching.segments import fast_building, running
from apps.matching.segments.builder import lists_wanted
from apps.matching.segments.fast_wanted import wants_fast
from apps.matching.types import FaceCandidates
from tests.factories import make_version
from tests.unit.live.conftest import Store
from tests.unit.live.table import live

VERSION, DIMENSION = 9803, 16
GROUP = "DESCRIPTORS_CACHE"


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    make_version(VERSION, DIMENSION)
    monkeypatch.setitem(versions._defaults, "face", VERSION)


def wanted() -> set[UUID]:
    return {row.list_id for row, _ in lists_wanted()[0]}


@live(
    "DESCRIPTORS_CACHE.cache_enabled",
    "DESCRIPTORS_CACHE.smallest_list",
    "DESCRIPTORS_CACHE.memory_limit",
    "DESCRIPTORS_CACHE.cached_data.faces_lists.include",
    "DESCRIPTORS_CACHE.cached_data.faces_lists.exclude",
)
def test_lists_in_memory(store: Store, account: Account) -> None:
    one, two = (list_create(account_id=account.pk) for _ in range(2))
    List.objects.for_account(account.pk).update(link_key=1200)
    both = {one.list_id, two.list_id}
    assert wanted() == both
    for values, expected in (
        ({"cache_enabled": False}, set()),
        ({"smallest_list": 1300}, set()),
        ({"memory_limit": 1000}, set()),
        ({"cached_data": {"faces_lists": {"include": [str(one.list_id)]}}}, {one.list_id}),
        ({"cached_data": {"faces_lists": {"exclude": [str(one.list_id)]}}}, {two.list_id}),
        ({}, both),
    ):
        store(GROUP, **values)
        assert wanted() == expected, values


@live("DESCRIPTORS_CACHE.updating_cache_interval")
def test_interval_of_the_builder(store: Store) -> None:
    waits: list[float] = []
    builder = object.__new__(running.Running)
    builder._stop = SimpleNamespace(wait=waits.append)  # type: ignore[assignment]
    builder._wait()
    store(GROUP, updating_cache_interval=0.5)
    builder._wait()
    assert waits == [2.0, 0.5]


@live("DESCRIPTORS_CACHE.matching_settings.thread_count", "DESCRIPTORS_CACHE.matching_settings.batch_size")
def test_scans(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one scan runs, five requests wait. The next scans take them in batches."""
    monkeypatch.setattr(cached, "segments_root", lambda: tmp_path)
    service = cached.Service()
    began, release = threading.Event(), threading.Event()
    batches: list[int] = []

    def run(items: Any) -> Any:
        batches.append(len(items))
        began.set()
        assert release.wait(20)
        return [None] * len(items)

    def search() -> None:
        service.joiner("key", (), size=1, run=run)

    def searched(batch_size: int) -> list[int]:
        began.clear()
        release.clear()
        batches.clear()
        store(GROUP, matching_settings={"thread_count": 1, "batch_size": batch_size})
        threads = [threading.Thread(target=search) for _ in range(6)]
        threads[0].start()
        assert began.wait(20)
        for thread in threads[1:]:
            thread.start()
        end = time.monotonic() + 20
        while len(service.joiner._queue) < 5 and time.monotonic() < end:
            time.sleep(0.005)
        release.set()
        for thread in threads:
            thread.join(20)
        return list(batches)

    try:
        assert searched(5) == [1, 5]
        assert searched(3) == [1, 3, 2]
    finally:
        service.close()


@live("MATCHING_SPEED.fast_lists", "MATCHING_SPEED.fast_from")
def test_lists_with_fast_codes(store: Store, tmp_path: Path) -> None:
    one, two = uuid4(), uuid4()

    def fast() -> list[bool]:
        return [wants_fast(tmp_path, list_id, rows) for list_id, rows in ((one, 10), (two, 1000))]

    assert fast() == [False, False]
    store("MATCHING_SPEED", fast_lists=[str(one)])
    assert fast() == [True, False]
    store("MATCHING_SPEED", fast_from=500)
    assert fast() == [False, True]


@live("MATCHING_SPEED.default_speed")
def test_default_speed(store: Store, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = SimpleNamespace(get=lambda *_: SimpleNamespace(fast=object()))
    monkeypatch.setattr(cached, "service", lambda: SimpleNamespace(copies=copies))
    candidates = FaceCandidates(scope=Scope(account.pk), filters={"list_id": uuid4()})
    assert not cached.can_serve_fast(candidates, versions.get(VERSION))
    store("MATCHING_SPEED", default_speed="fast")
    assert cached.can_serve_fast(candidates, versions.get(VERSION))


@live("MATCHING_SPEED.recall")
def test_recall_of_fast_codes(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[float] = []

    def make(segment: object, *, target: float, **_: object) -> None:
        targets.append(target)
        raise FileNotFoundError  # as if the segment had been merged

    monkeypatch.setattr(fast_building, "segment_open", lambda *_: SimpleNamespace(segment=None))
    monkeypatch.setattr(fast_building, "fast_make", make)
    manifest: Any = SimpleNamespace(version=VERSION, dimension=DIMENSION, list_id=str(uuid4()))
    builder = fast_building.FastBuilder(tmp_path)
    for recall in (0.99, 0.9):
        store("MATCHING_SPEED", recall=recall)
        builder._make(tmp_path, manifest, Any)  # type: ignore[arg-type]
    assert targets == [0.99, 0.9]
