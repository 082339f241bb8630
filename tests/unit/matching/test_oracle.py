"""Every path of the database's matcher against one oracle: float64, ties in the order of creation."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Account
from apps.common import nearest
from apps.common.descriptors import Descriptor, Vector, versions
from apps.common.scope import Scope
from apps.events.models import Event, EventDescriptor
from apps.faces.attributes import attribute_create
from apps.faces.models import Face, FaceDescriptor, List, ListFace
from apps.faces.types import AttributeData
from apps.matching.matcher import match
from apps.matching.types import AttributeCandidates, Block, Candidates, EventCandidates, FaceCandidates, Probe
from tests.factories import NOON, make_account, make_version, unit_vectors

pytestmark = pytest.mark.django_db
ROWS, DIMENSION = 400, 24
FACE, BODY = 9721, 9722
SHARES = (0.0025, 0.01, 0.1, 1.0)  # of the rows that pass the filters: one, 1 %, 10 %, all
LABELS = ("one", "few", "some", "rest")


class World(NamedTuple):
    """The objects of one account. `labels`: an object passes the filter of a share if its label is in `labels_of`."""

    account: Account
    vectors: Vector
    labels: Sequence[str]
    faces: Sequence[Face]
    events: Sequence[Event]
    attributes: Sequence[UUID]
    lists: dict[float, UUID]


def labels_of(share: float) -> tuple[str, ...]:
    return LABELS[: SHARES.index(share) + 1]


@pytest.fixture
def world() -> World:
    """400 objects of each kind, every vector four times; faces of another account between them; bodies beside faces."""
    make_version(FACE, DIMENSION)
    make_version(BODY, DIMENSION, kind="body")
    account, stranger = make_account(), make_account()
    random = np.random.default_rng(5)
    vectors = np.repeat(unit_vectors(ROWS // 4, DIMENSION), 4, axis=0)[random.permutation(ROWS)]
    labels = ["rest"] * ROWS
    for label, places in zip(LABELS, np.split(random.permutation(ROWS), (1, 4, 40)), strict=True):
        for place in places:
            labels[place] = label
    times = [NOON + timedelta(minutes=LABELS.index(label)) for label in labels]
    faces = [Face(account=account, user_data=label) for label in labels]
    others = [Face(account=stranger) for _ in range(ROWS)]
    made = Face.objects.bulk_create([each for pair in zip(faces, others, strict=True) for each in pair])
    for face, time in zip(faces, times, strict=True):
        face.create_time = time  # set to now at creation
    Face.objects.unscoped().bulk_update(faces, ["create_time"])
    FaceDescriptor.objects.bulk_create(
        FaceDescriptor(face=face, version=FACE, vector=vector)
        for face, vector in zip(made, np.repeat(vectors, 2, axis=0), strict=True)
    )
    events = Event.objects.bulk_create(
        Event(account=account, source=label, tags=[label], create_time=time, end_time=time)
        for label, time in zip(labels, times, strict=True)
    )
    EventDescriptor.objects.bulk_create(
        EventDescriptor(event=event, version=version, vector=described)
        for event, vector in zip(events, vectors, strict=True)
        for version, described in ((FACE, vector), (BODY, -vector))
    )
    attributes = [
        attribute_create(account_id=account.account_id, data=AttributeData((Descriptor(FACE, vector),))).attribute_id
        for vector in vectors
    ]
    lists = {
        share: make_list(account, [face for face in faces if face.user_data in labels_of(share)]) for share in SHARES
    }
    return World(account, vectors, labels, faces, events, attributes, lists)


def make_list(account: Account, faces: Sequence[Face]) -> UUID:
    row: List = List.objects.create(account=account, link_key=len(faces))
    ListFace.objects.bulk_create(ListFace(list=row, face=face, link_key=at) for at, face in enumerate(faces, start=1))
    return row.list_id


class Path(NamedTuple):
    """One way to select objects. `ids`, `vectors`: of all objects of the kind, in the order of creation."""

    candidates: Candidates
    ids: Sequence[UUID]
    vectors: Vector
    version: int


def paths(world: World, share: float) -> list[Path]:
    """All ways to select the objects of a share."""
    scope, wanted = Scope(world.account.account_id), labels_of(share)
    faces, events = [face.face_id for face in world.faces], [event.event_id for event in world.events]

    def passing(ids: Sequence[UUID]) -> list[UUID]:
        return [each for each, label in zip(ids, world.labels, strict=True) if label in wanted]

    until = {"create_time__lt": NOON + timedelta(minutes=len(wanted))}
    in_list, by_source = {"list_id": world.lists[share]}, {"sources": list(wanted)}
    of_faces: list[dict[str, Any]] = [in_list, until, in_list | until, {"face_ids": passing(faces)}]
    of_events: list[dict[str, Any]] = [by_source, until, by_source | {"tags": list(wanted)}]
    if share == SHARES[-1]:
        of_faces.append({})
        of_events.append({})
    named = AttributeCandidates(scope=scope, attribute_ids=tuple(passing(world.attributes)))
    return [
        *(Path(FaceCandidates(scope=scope, filters=each), faces, world.vectors, FACE) for each in of_faces),
        *(Path(EventCandidates(scope=scope, filters=each), events, world.vectors, FACE) for each in of_events),
        *(Path(EventCandidates(scope=scope, filters=each), events, -world.vectors, BODY) for each in of_events),
        Path(named, world.attributes, world.vectors, FACE),
    ]


def oracle(world: World, path: Path, probe: Vector, share: float, block: Block) -> list[tuple[UUID, float]]:
    calibration = versions.get(path.version).calibration
    passing = [at for at, label in enumerate(world.labels) if label in labels_of(share)]
    cosines = np.einsum("ij,j->i", path.vectors[passing].astype(np.float64), probe.astype(np.float64))
    order = np.argsort(-cosines, kind="stable")[: block.limit]
    ranked = [(path.ids[passing[at]], calibration.similarity(cosines[at])) for at in order]
    return [(each, similarity) for each, similarity in ranked if similarity >= block.threshold]


@pytest.mark.parametrize(
    "census",
    [None, (10_000, 0.0), (10_000, 0.2), (10_000, 1.0), (100, 1.0)],
    ids=["own", "walk", "propose or walk", "propose", "few"],
)
@given(
    share=st.sampled_from(SHARES),
    limit=st.sampled_from([1, 3, 10, 100]),
    threshold=st.sampled_from([0.0, 0.15, 0.5, 0.9]),
    known=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_path_equals_the_oracle(
    world: World, census: Any, share: float, limit: int, threshold: float, known: bool, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if census is None:
            nearest._census.cache_clear()
        else:
            patch.setattr(nearest, "_census", lambda table, members, period: census)
            patch.setattr(nearest, "_fits", lambda table, period: False)
        for path in paths(world, share):
            probe = path.vectors[seed % ROWS] if known else unit_vectors(1, DIMENSION, seed)[0]
            block = Block(path.candidates, limit=limit, threshold=threshold, targets=frozenset({"create_time"}))
            (found,) = match(probes=[Probe("p", "raw_descriptor", path.version, probe)], block=block)
            wanted = oracle(world, path, probe, share, block)
            assert [each.object_id for each in found] == [each for each, _ in wanted], path.candidates
            similarities = [similarity for _, similarity in wanted]
            assert [each.similarity for each in found] == pytest.approx(similarities, abs=1e-6)
