"""Filtered searches equal an exact scan on every path, whatever share of the candidates passes."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Account
from apps.common.descriptors import Vector, versions
from apps.common.scope import Scope
from apps.events.models import Event
from apps.faces.models import Face, List, ListFace
from apps.matching.config import DescriptorsCache, MatcherProxy, MilvusServer
from apps.matching.engine import cached
from apps.matching.plugins.contract import SubRequest
from apps.matching.plugins.list_cache import ListCache
from apps.matching.plugins.loading import MATCHING_PLUGINS
from apps.matching.plugins.router import Router
from apps.matching.plugins.runner import Runner
from apps.matching.plugins.thin import ThinPlugin
from apps.matching.segments import deciding, files
from apps.matching.types import Candidates, EventCandidates, FaceCandidates
from tests.factories import NOON, make_account, make_version, unit_vectors
from tests.milvus import milvus_close

VERSION, DIMENSION, OBJECTS = 9781, 16, 2000
SHARES = (0.001, 0.01, 0.1, 1.0)
PATHS = (
    *(("faces", name) for name in ("database", "list_cache", "thin_face", "milvus")),
    *(("events", name) for name in ("database", "thin_event")),
)
pytestmark = pytest.mark.django_db(transaction=True)

DESCRIBE = """
INSERT INTO {table} ({owner}, version, vector{more})
SELECT key, %s, vector::vector{zero} FROM unnest(%s::bigint[], %s::text[]) AS given (key, vector)
"""


@dataclass(frozen=True)
class World:
    """Faces of one list, and events; the vector of an object is that of its place. `rank`: order of a filter."""

    account: Account
    list_id: Any
    vectors: Vector
    rank: np.ndarray[Any, np.dtype[np.int64]]
    faces: list[Face]
    events: list[Event]
    runners: dict[str, Runner]

    def filters(self, kind: str, share: float, objects: list[Any]) -> tuple[dict[str, Any], list[int]]:
        """Filters that a share of the objects passes, and the places of these objects."""
        passing = int(OBJECTS * share)
        if kind == "time":
            return {"create_time__lt": NOON + timedelta(seconds=passing)}, list(range(passing))
        places = np.flatnonzero(self.rank < passing).tolist()
        if kind == "user_data":
            return {"user_data": f"share {share}"}, [place for place in places if group(self.rank[place]) == share]
        name = "face_ids" if objects is self.faces else "event_ids"
        member = name[:-1]
        return {name: [getattr(objects[place], member) for place in places]}, places


def group(rank: int) -> float:
    """The smallest share that includes a rank."""
    return next(share for share in SHARES if rank < OBJECTS * share)


def describe(table: str, owner: str, keys: list[int], vectors: Vector) -> None:
    more = ", generation" if table == "faces_facedescriptor" else ""
    statement = DESCRIBE.format(table=table, owner=owner, more=more, zero=", 0" if more else "")
    with connection.cursor() as cursor:
        cursor.execute(statement, [VERSION, keys, [str(vector.tolist()) for vector in vectors]])


@pytest.fixture
def world(tmp_path: Path, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    make_version(VERSION, DIMENSION)
    monkeypatch.setitem(versions._defaults, "face", VERSION)
    monkeypatch.setattr(files, "DIRECTORY", str(tmp_path / "segments"))
    monkeypatch.setattr(deciding, "FEW", 10)
    configure(DescriptorsCache, smallest_list=1, updating_cache_interval=3600)
    configure(MilvusServer, uri=str(tmp_path / "milvus.db"), smallest_list=1)
    configure(MatcherProxy, search_timeout=60)
    cached.service.close()
    account, random = make_account(), np.random.default_rng(5)
    vectors, rank = unit_vectors(OBJECTS, DIMENSION), random.permutation(OBJECTS)
    texts = [f"share {group(each)}" for each in rank]
    faces = Face.objects.bulk_create([Face(account=account, user_data=text) for text in texts])
    for place, face in enumerate(faces):  # `auto_now_add` ignores given times
        face.create_time = NOON + timedelta(seconds=place)
    Face.objects.unscoped().bulk_update(faces, ["create_time"], batch_size=1000)
    row = List.objects.create(account=account, link_key=OBJECTS)
    ListFace.objects.bulk_create(ListFace(list=row, face=face, link_key=key) for key, face in enumerate(faces, 1))
    events = Event.objects.bulk_create(
        [
            Event(account=account, user_data=text, create_time=NOON + timedelta(seconds=place), end_time=NOON)
            for place, text in enumerate(texts)
        ]
    )
    describe("faces_facedescriptor", "face_id", [face.pk for face in faces], vectors)
    describe("events_eventdescriptor", "event_id", [event.pk for event in events], vectors)
    runners = {"list_cache": Runner("list_cache", ListCache())}
    for name in ("thin_face", "thin_event", "milvus"):
        plugin = MATCHING_PLUGINS.make(name)
        plugin.refresh()
        runners[name] = Runner(name, plugin)
    runners["list_cache"].plugin.refresh()
    assert all(runner.ready(timeout_s=60) for runner in runners.values())
    yield World(account, row.list_id, vectors, rank, faces, events, runners)
    for runner in runners.values():
        runner.close()
        if isinstance(runner.plugin, ThinPlugin):
            runner.plugin.table.drop()
    cached.service.close()
    milvus_close()


def test_every_path_equals_an_exact_scan(world: World) -> None:
    served: Counter[str] = Counter()
    exact = world.vectors.astype(np.float64)

    @settings(max_examples=int(os.environ.get("LUNA_SELECTIVITY_EXAMPLES", "80")), deadline=None,
              suppress_health_check=list(HealthCheck), derandomize=True)  # fmt: skip
    @given(
        origin_path=st.sampled_from(PATHS),
        kinds=st.sampled_from([("time",), ("user_data",), ("ids",), ("time", "user_data"), ("time", "ids")]),
        shares=st.tuples(st.sampled_from(SHARES), st.sampled_from(SHARES)),
        limit=st.sampled_from([1, 5, 100]),
        threshold=st.sampled_from([-1.0, 0.3]),
        seed=st.integers(0, 2**16),
    )
    def check(
        origin_path: tuple[str, str], kinds: tuple[str, ...], shares: tuple[float, float], limit: int, threshold: float,
        seed: int,
    ) -> None:  # fmt: skip
        origin, name = origin_path
        objects: list[Any] = world.faces if origin == "faces" else world.events
        filters: dict[str, Any] = {"list_id": world.list_id} if origin == "faces" else {}
        passing = set(range(OBJECTS))
        for kind, share in zip(kinds, shares, strict=False):
            own, places = world.filters(kind, share, objects)
            filters |= own
            passing &= set(places)
        kind_of = FaceCandidates if origin == "faces" else EventCandidates
        candidates: Candidates = kind_of(scope=Scope(world.account.account_id), filters=filters)
        vectors = list(unit_vectors(2, DIMENSION, seed))
        runner = world.runners.get(name)
        if runner is not None:
            request = SubRequest(candidates, versions.get(VERSION), vectors[:1], limit, threshold)
            served[name] += runner.cost(request) < 100
        found = Router(runners=lambda: [runner] if runner else []).search(
            candidates, versions.get(VERSION), vectors, limit, threshold
        )
        for vector, hits in zip(vectors, found, strict=True):
            cosines = exact @ vector.astype(np.float64)
            nearest = sorted(passing, key=lambda place: -cosines[place])[:limit]
            expected = [objects[place].pk for place in nearest if cosines[place] >= threshold]
            assert [hit.key for hit in hits] == expected, (name, filters.keys())
            assert [hit.cosine for hit in hits] == pytest.approx(cosines[nearest[: len(hits)]].tolist(), abs=1e-5)

    check()
    assert min(served[name] for name in world.runners) > 2, served
    assert not any(runner.answers["failed"] for runner in world.runners.values())
    check_costs(world)


def check_costs(world: World) -> None:
    """Memory answers, unless few candidates pass."""
    answers = cached.service().answers
    for share, path in ((0.001, "database"), (0.1, "memory"), (1.0, "memory")):
        filters, _ = world.filters("time", share, world.faces)
        candidates = FaceCandidates(scope=Scope(world.account.account_id), filters=filters | {"list_id": world.list_id})
        before = answers[path]
        Router(runners=lambda: [world.runners["list_cache"]]).search(
            candidates, versions.get(VERSION), [world.vectors[0]], 5, -1.0
        )
        assert answers[path] == before + 1, share
