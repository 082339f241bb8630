"""The exact matcher against a plain float64 scan."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account
from apps.common import nearest
from apps.common.descriptors import Descriptor, DescriptorVersion, Vector
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.faces.attributes import attribute_create, attribute_delete
from apps.faces.models import Face, FaceDescriptor, List, ListFace
from apps.faces.types import AttributeData
from apps.matching.matcher import match, match_all
from apps.matching.types import AttributeCandidates, Block, EventCandidates, FaceCandidates, Match, Probe
from tests.factories import NOON, make_account, make_event, make_version, unit_vectors

pytestmark = pytest.mark.django_db
DIMENSION = 24
OTHER_VERSION = 9702


@pytest.fixture
def version() -> DescriptorVersion:
    return make_version(9701, DIMENSION)


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture(params=[(100, 1.0), (10_000, 0.0), (10_000, 1.0)], ids=["prepared", "joined", "proposed"])
def share(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Candidates are found in one of three ways, as they are few, or few or many among all faces."""
    monkeypatch.setattr(nearest, "_census", lambda table, members, period: request.param)
    return request.param[1]


def make_faces(account: Account, vectors: Vector, version: int = 9701, **columns: object) -> list[Face]:
    faces: list[Face] = Face.objects.bulk_create([Face(account=account, **columns) for _ in vectors])
    rows = [
        FaceDescriptor(face=face, version=version, vector=vector) for face, vector in zip(faces, vectors, strict=True)
    ]
    FaceDescriptor.objects.bulk_create(rows)
    return faces


def make_list(account: Account, faces: Sequence[Face]) -> List:
    row: List = List.objects.create(account=account, link_key=len(faces))
    ListFace.objects.bulk_create(
        ListFace(list=row, face=face, link_key=number) for number, face in enumerate(faces, start=1)
    )
    return row


def probe(vector: Vector, version: int = 9701) -> Probe:
    return Probe("p", "raw_descriptor", version, vector)


def best(vector: Vector, block: Block) -> tuple[Match, ...]:
    return match(probes=[probe(vector)], block=block)[0]


def reference_scan(
    vector: Vector, vectors: Vector, ids: Sequence[UUID], version: DescriptorVersion, limit: int, threshold: float
) -> list[tuple[UUID, float]]:
    """What the matcher must find: float64, stable order."""
    cosines = vectors.astype(np.float64) @ vector.astype(np.float64)
    ranked = [
        (ids[index], version.calibration.similarity(cosines[index])) for index in np.argsort(-cosines, kind="stable")
    ]
    return [(each, similarity) for each, similarity in ranked[:limit] if similarity >= threshold]


def check(found: Sequence[Match], expected: Sequence[tuple[UUID, float]]) -> None:
    assert [each.object_id for each in found] == [each for each, _ in expected]
    assert [each.similarity for each in found] == pytest.approx([each for _, each in expected], abs=1e-6)


@given(
    count=st.integers(0, 60),
    seed=st.integers(0, 10_000),
    limit=st.integers(1, 100),
    threshold=st.sampled_from([0.0, 0.2, 0.5]),
)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_faces_are_found_as_a_plain_scan_finds_them(
    account: Account, version: DescriptorVersion, share: float, count: int, seed: int, limit: int, threshold: float
) -> None:
    vectors = unit_vectors(count + 1, DIMENSION, seed)
    faces = make_faces(account, vectors[1:])
    row = make_list(account, faces)
    block = Block(
        FaceCandidates(scope=Scope(account.account_id), filters={"list_id": row.list_id}),
        limit=limit,
        threshold=threshold,
    )
    ids = [face.face_id for face in faces]
    check(best(vectors[0], block), reference_scan(vectors[0], vectors[1:], ids, version, limit, threshold))


def test_many_probes_in_a_large_list(account: Account, version: DescriptorVersion, share: float) -> None:
    vectors = unit_vectors(2000, DIMENSION)
    faces = make_faces(account, vectors)
    row = make_list(account, faces[::2])
    block = Block(
        FaceCandidates(scope=Scope(account.account_id), filters={"list_id": row.list_id}),
        limit=100,
        threshold=0.3,
    )
    found = match(probes=[probe(vector) for vector in vectors[:10]], block=block)
    ids = [face.face_id for face in faces[::2]]
    for vector, matches in zip(vectors[:10], found, strict=True):
        check(matches, reference_scan(vector, vectors[::2], ids, version, 100, 0.3))


def test_equal_similarities_stand_in_the_order_of_storing(
    account: Account, version: DescriptorVersion, share: float
) -> None:
    vector = unit_vectors(1, DIMENSION)[0]
    faces = make_faces(account, np.stack([vector] * 7))
    found = best(vector, Block(FaceCandidates(scope=Scope(account.account_id)), limit=5))
    assert [each.object_id for each in found] == [face.face_id for face in faces[:5]]
    assert found[0].similarity == pytest.approx(1.0, abs=1e-6)


def test_a_face_comes_with_its_row_and_lists(account: Account, version: DescriptorVersion) -> None:
    vectors = unit_vectors(1, DIMENSION)
    faces = make_faces(account, vectors, external_id="e", user_data="u")
    row = make_list(account, faces)
    (found,) = best(vectors[0], Block(FaceCandidates(scope=Scope(account.account_id))))
    assert found.face is not None
    assert (found.face.external_id, found.face.user_data) == ("e", "u")
    assert found.face.lists == [row.list_id]
    assert (found.event, found.attribute) == (None, None)


@pytest.mark.parametrize(
    "filters",
    [
        lambda faces, row: {"face_ids": [faces[1].face_id, uuid4()]},
        lambda faces, row: {"list_id": row.list_id},
        lambda faces, row: {"external_ids": ["two", "none"]},
        lambda faces, row: {"user_data": "second"},
        lambda faces, row: {"create_time__gte": faces[1].create_time, "create_time__lt": faces[2].create_time},
        lambda faces, row: {"list_id": row.list_id, "external_ids": ["two"]},
    ],
)
def test_filters_of_faces(account: Account, version: DescriptorVersion, filters: object) -> None:
    vectors = unit_vectors(3, DIMENSION)
    faces = make_faces(account, vectors)
    for number, face in enumerate(faces):
        face.external_id, face.user_data = ("one", "two", "three")[number], ("first", "second", "third")[number]
        face.create_time = NOON + timedelta(minutes=number)
    Face.objects.unscoped().bulk_update(faces, ["external_id", "user_data", "create_time"])
    row = make_list(account, [faces[1]])
    chosen = filters(faces, row)  # type: ignore[operator]
    found = best(vectors[0], Block(FaceCandidates(scope=Scope(account.account_id), filters=chosen), limit=100))
    assert [each.object_id for each in found] == [faces[1].face_id]
    nothing = {"list_id": row.list_id, "external_ids": ["one"]}
    empty: tuple[dict[str, Any], ...] = (nothing, {"face_ids": []}, {"list_id": row.list_id, "external_ids": []})
    for none in empty:
        assert best(vectors[0], Block(FaceCandidates(scope=Scope(account.account_id), filters=none))) == ()


def test_bounds_of_face_ids(account: Account, version: DescriptorVersion) -> None:
    vectors = unit_vectors(5, DIMENSION)
    faces = sorted(make_faces(account, vectors), key=lambda face: str(face.face_id))
    filters = {"face_id__gte": faces[1].face_id, "face_id__lt": faces[3].face_id}
    found = best(vectors[0], Block(FaceCandidates(scope=Scope(account.account_id), filters=filters), limit=100))
    assert {each.object_id for each in found} == {faces[1].face_id, faces[2].face_id}


def test_accounts_do_not_see_each_other(account: Account, version: DescriptorVersion, share: float) -> None:
    vectors = unit_vectors(2, DIMENSION)
    faces = make_faces(account, vectors)
    row = make_list(account, faces)
    event = make_event(account, Descriptor(9701, vectors[0]))
    attribute = attribute_create(
        account_id=account.account_id, data=AttributeData(descriptors=(Descriptor(9701, vectors[0]),))
    )

    def blocks(scope: Scope) -> list[Block]:
        return [
            Block(FaceCandidates(scope=scope)),
            Block(FaceCandidates(scope=scope, filters={"list_id": row.list_id})),
            Block(FaceCandidates(scope=scope, filters={"face_ids": [faces[0].face_id]})),
            Block(EventCandidates(scope=scope)),
            Block(EventCandidates(scope=scope, filters={"event_ids": [event.event_id]})),
            Block(AttributeCandidates(scope=scope, attribute_ids=(attribute.attribute_id,))),
        ]

    stranger = Scope(make_account().account_id)
    assert match_all(probes=[probe(vectors[0])], blocks=blocks(stranger)) == (((), (), (), (), (), ()),)
    for scope in (Scope(account.account_id), Scope(None)):
        (found,) = match_all(probes=[probe(vectors[0])], blocks=blocks(scope))
        assert [len(matches) for matches in found] == [2, 2, 1, 1, 1, 1]


def test_proposals_that_do_not_suffice(
    account: Account, version: DescriptorVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong guess of how many candidates there are costs time, never a candidate."""
    monkeypatch.setattr(nearest, "_census", lambda table, members, period: (10_000, 1.0))
    vector = unit_vectors(1, DIMENSION)[0]
    crowd = make_faces(account, np.stack([vector] * 70))
    far = make_faces(account, unit_vectors(5, DIMENSION, seed=5))
    row = make_list(account, [*far, crowd[66]])
    filters = {"list_id": row.list_id}
    found = best(vector, Block(FaceCandidates(scope=Scope(account.account_id), filters=filters), limit=5))
    assert found[0].object_id == crowd[66].face_id
    assert {each.object_id for each in found[1:]} < {face.face_id for face in far}


def test_a_census_is_taken_once_in_its_period(
    account: Account,
    version: DescriptorVersion,
    django_assert_num_queries: DjangoAssertNumQueries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    vectors = unit_vectors(20, DIMENSION)
    make_faces(account, vectors)
    block = Block(FaceCandidates(scope=Scope(account.account_id)), limit=20)
    for queries in (3, 2):
        with django_assert_num_queries(queries):
            assert len(best(vectors[0], block)) == 20


def test_a_statement_planned_once_sees_what_comes_later(account: Account, version: DescriptorVersion) -> None:
    block = Block(FaceCandidates(scope=Scope(account.account_id)), limit=20)
    vectors = unit_vectors(12, DIMENSION)
    for count, vector in enumerate(vectors, start=1):
        make_faces(account, vector[None])
        found = best(vector, block)
        assert len(found) == count
        assert found[0].similarity == pytest.approx(1.0, abs=1e-6)


def test_other_versions_are_left_out(account: Account, version: DescriptorVersion) -> None:
    make_version(OTHER_VERSION, 8)
    old, new = unit_vectors(1, DIMENSION), unit_vectors(1, 8)
    make_faces(account, old)
    (face,) = make_faces(account, new, OTHER_VERSION)
    make_event(account, Descriptor(9701, old[0]))
    scope = Scope(account.account_id)
    (found,) = match(probes=[probe(new[0], OTHER_VERSION)], block=Block(FaceCandidates(scope=scope)))
    assert [each.object_id for each in found] == [face.face_id]
    assert match(probes=[probe(new[0], OTHER_VERSION)], block=Block(EventCandidates(scope=scope))) == ((),)
    with pytest.raises(LunaError) as raised:
        match(probes=[probe(new[0], OTHER_VERSION), probe(old[0])], block=Block(FaceCandidates(scope=scope)))
    assert raised.value.code == 31005
    with pytest.raises(LunaError) as raised:
        match(probes=[probe(new[0], 4711)], block=Block(FaceCandidates(scope=scope)))
    assert raised.value.code == 12036


def test_events_are_found_as_a_plain_scan_finds_them(account: Account, version: DescriptorVersion) -> None:
    vectors = unit_vectors(41, DIMENSION)
    events = [
        make_event(account, Descriptor(9701, vector), source=("gate", "door")[number % 2])
        for number, vector in enumerate(vectors[1:])
    ]
    block = Block(EventCandidates(scope=Scope(account.account_id), filters={"sources": ["gate"]}), limit=10)
    ids = [event.event_id for event in events[::2]]
    found = best(vectors[0], block)
    check(found, reference_scan(vectors[0], vectors[1::2], ids, version, 10, 0.0))
    assert found[0].event is not None
    assert found[0].event.source == "gate"


def test_attributes_are_found_as_a_plain_scan_finds_them(account: Account, version: DescriptorVersion) -> None:
    vectors = unit_vectors(31, DIMENSION)
    made = [
        attribute_create(account_id=account.account_id, data=AttributeData(descriptors=(Descriptor(9701, vector),)))
        for vector in vectors[1:]
    ]
    ids = [attribute.attribute_id for attribute in made]
    block = Block(
        AttributeCandidates(scope=Scope(account.account_id), attribute_ids=(*ids, ids[0], uuid4())),
        limit=7,
        threshold=0.1,
    )
    found = best(vectors[0], block)
    check(found, reference_scan(vectors[0], vectors[1:], ids, version, 7, 0.1))
    attribute_delete(account_id=account.account_id, attribute_id=found[0].object_id)
    assert found[0].object_id not in [each.object_id for each in best(vectors[0], block)]


def test_number_of_queries_depends_on_probes_and_blocks_only(
    account: Account, version: DescriptorVersion, share: float, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    vectors = unit_vectors(50, DIMENSION)
    make_list(account, make_faces(account, vectors))
    for vector in vectors[:3]:
        make_event(account, Descriptor(9701, vector))
    scope = Scope(account.account_id)
    blocks: list[Block] = [Block(FaceCandidates(scope=scope), limit=limit) for limit in (1, 50)]
    with django_assert_num_queries(2 * 3 + 1 + 3 + 1):  # faces and once their rows; events and once their rows
        match_all(
            probes=[probe(each) for each in vectors[:3]],
            blocks=[*blocks, Block(EventCandidates(scope=scope))],
        )


def test_nothing_is_compared_with_nothing(
    account: Account, version: DescriptorVersion, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert match(probes=[], block=Block(FaceCandidates(scope=Scope(account.account_id)))) == ()
        block = Block(AttributeCandidates(scope=Scope(account.account_id)))
        assert match(probes=[probe(unit_vectors(1, DIMENSION)[0])], block=block) == ((),)
