"""Matching of many with many for tasks, against a plain float64 comparison."""

import tracemalloc
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Account
from apps.common import errors
from apps.common.descriptors import Descriptor, DescriptorVersion, Vector
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.faces.attributes import attribute_create
from apps.faces.models import Face, FaceDescriptor
from apps.faces.types import AttributeData
from apps.matching import cross
from apps.matching.cross import CrossMatches, cross_match
from apps.matching.engine.matrix import nearest
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates
from tests.factories import NOON, make_account, make_event, make_version, unit_vectors

DIMENSION, NUMBER = 24, 9711
KINDS = ("face", "event", "attribute")


@pytest.fixture(autouse=True)
def version() -> DescriptorVersion:
    return make_version(NUMBER, DIMENSION)


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


def stored(account: Account, kind: str, vectors: Vector, **columns: Any) -> tuple[Candidates, list[UUID]]:
    """One object of a kind for each vector: all of them as a set, and their ids in the order of creation."""
    scope = Scope(account.account_id)
    if kind == "face":
        faces = Face.objects.bulk_create([Face(account=account, **columns) for _ in vectors])
        rows = [
            FaceDescriptor(face=face, version=NUMBER, vector=each) for face, each in zip(faces, vectors, strict=True)
        ]
        FaceDescriptor.objects.bulk_create(rows)
        ids = [face.face_id for face in faces]
        return FaceCandidates(scope=scope, filters={"face_ids": ids}), ids
    if kind == "event":
        ids = [make_event(account, Descriptor(NUMBER, each), **columns).event_id for each in vectors]
        return EventCandidates(scope=scope, filters={"event_ids": ids}), ids
    found = [
        attribute_create(account_id=account.account_id, data=AttributeData((Descriptor(NUMBER, each),)))
        for each in vectors
    ]
    ids = [each.attribute_id for each in found]
    return AttributeCandidates(scope=scope, attribute_ids=tuple(ids)), ids


def without_descriptor(account: Account, kind: str) -> UUID:
    """An object without a descriptor of the version; an attribute has one of another version."""
    if kind == "face":
        face: Face = Face.objects.create(account=account)
        return face.face_id
    if kind == "event":
        return make_event(account).event_id
    data = AttributeData((Descriptor(9714, unit_vectors(1, 8)[0]),))
    return attribute_create(account_id=account.account_id, data=data).attribute_id


def expected(
    version: DescriptorVersion,
    references: tuple[Sequence[UUID], Vector],
    candidates: tuple[Sequence[UUID], Vector],
    limit: int,
    threshold: float,
) -> list[tuple[UUID, list[tuple[UUID, float]]]]:
    """What the engine must find: float64, stable order, references without matches left out."""
    found = []
    for reference_id, vector in zip(*references, strict=True):
        cosines = candidates[1].astype(np.float64) @ vector.astype(np.float64)
        ranked = [
            (candidates[0][at], version.calibration.similarity(cosines[at]))
            for at in np.argsort(-cosines, kind="stable")[:limit]
        ]
        if kept := [(each, similarity) for each, similarity in ranked if similarity >= threshold]:
            found.append((reference_id, kept))
    return found


def check(found: Sequence[CrossMatches], wanted: list[tuple[UUID, list[tuple[UUID, float]]]]) -> None:
    assert [each.reference_id for each in found] == [each for each, _ in wanted]
    for each, (_, matches) in zip(found, wanted, strict=True):
        assert [candidate for candidate, _ in each.matches] == [candidate for candidate, _ in matches]
        similarities = [similarity for _, similarity in matches]
        assert [similarity for _, similarity in each.matches] == pytest.approx(similarities, abs=1e-6)


@pytest.mark.parametrize("candidates", KINDS)
@pytest.mark.parametrize("references", KINDS)
def test_every_kind_with_every_kind(
    account: Account, version: DescriptorVersion, monkeypatch: pytest.MonkeyPatch, references: str, candidates: str
) -> None:
    monkeypatch.setattr(cross, "PAGE_ROWS", 7)  # several pages and blocks
    monkeypatch.setattr(cross, "BLOCK_BYTES", 4 * DIMENSION * 5)
    monkeypatch.setattr(cross, "GROUP_MAX", 6)
    vectors = unit_vectors(60, DIMENSION)
    of_references, reference_ids = stored(account, references, vectors[:20])
    of_candidates, candidate_ids = stored(account, candidates, vectors[20:])
    for limit, threshold in ((3, 0.0), (100, 0.25), (1000, 0.0), (5, 0.9)):
        found = list(
            cross_match(
                references=of_references,
                candidates=of_candidates,
                version=version,
                limit=limit,
                threshold=threshold,
                required=True,
            )
        )
        wanted = expected(version, (reference_ids, vectors[:20]), (candidate_ids, vectors[20:]), limit, threshold)
        check(found, wanted)


def test_more_references_and_results_than_a_request_has(account: Account, version: DescriptorVersion) -> None:
    vectors = unit_vectors(300, DIMENSION)
    every, ids = stored(account, "face", vectors)
    found = list(cross_match(references=every, candidates=every, version=version, limit=250))
    check(found, expected(version, (ids, vectors), (ids, vectors), 250, 0.0))
    assert all(each.matches[0][0] == each.reference_id for each in found)  # an object in both sets matches itself


def test_filters_select_references_and_candidates(account: Account, version: DescriptorVersion) -> None:
    vectors = unit_vectors(20, DIMENSION)
    scope = Scope(account.account_id)
    _, events = stored(account, "event", vectors[:10], source="gate")
    stored(account, "event", vectors[:10], source="door")
    _, faces = stored(account, "face", vectors[10:], user_data="staff")
    stored(account, "face", vectors[10:], user_data="guest")
    found = list(
        cross_match(
            references=EventCandidates(scope=scope, filters={"sources": ["gate"]}),
            candidates=FaceCandidates(scope=scope, filters={"user_data": "staff"}),
            version=version,
            limit=4,
        )
    )
    check(found, expected(version, (events, vectors[:10]), (faces, vectors[10:]), 4, 0.0))


def test_events_of_any_age_are_compared(account: Account, version: DescriptorVersion) -> None:
    vector = unit_vectors(1, DIMENSION)
    event = make_event(account, Descriptor(NUMBER, vector[0]), create_time=NOON - timedelta(days=3650))
    every = EventCandidates(scope=Scope(account.account_id))
    (found,) = cross_match(references=every, candidates=every, version=version, limit=1)
    assert found.matches[0][0] == event.event_id


def test_other_versions_accounts_and_objects_without_descriptor_take_no_part(
    account: Account, version: DescriptorVersion
) -> None:
    other = make_version(9712, DIMENSION)
    vectors = unit_vectors(3, DIMENSION)
    _, ids = stored(account, "face", vectors)
    stored(make_account(), "face", vectors)
    old = Face.objects.bulk_create([Face(account=account), Face(account=account)])
    FaceDescriptor.objects.create(face=old[0], version=other.version, vector=vectors[0])
    every = FaceCandidates(scope=Scope(account.account_id))
    found = list(cross_match(references=every, candidates=every, version=version, limit=100))
    check(found, expected(version, (ids, vectors), (ids, vectors), 100, 0.0))


def test_bodies(account: Account) -> None:
    bodies = make_version(9713, 8, kind="body")
    vectors = unit_vectors(4, 8)
    faces = unit_vectors(4, DIMENSION)
    ids = [
        make_event(account, Descriptor(NUMBER, face), Descriptor(9713, body)).event_id
        for face, body in zip(faces, vectors, strict=True)
    ]
    every = EventCandidates(scope=Scope(account.account_id))
    found = list(cross_match(references=every, candidates=every, version=bodies, limit=4))
    check(found, expected(bodies, (ids, vectors), (ids, vectors), 4, 0.0))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_compare(account: Account, version: DescriptorVersion, kind: str) -> None:
    some, _ = stored(account, kind, unit_vectors(2, DIMENSION))
    none, _ = stored(account, kind, unit_vectors(0, DIMENSION))
    for references, candidates in ((some, none), (none, some), (none, none)):
        assert list(cross_match(references=references, candidates=candidates, version=version, limit=3)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_general_limit(account: Account, version: DescriptorVersion, kind: str) -> None:
    three, _ = stored(account, kind, unit_vectors(3, DIMENSION))
    four, _ = stored(account, "face", unit_vectors(4, DIMENSION))
    arguments: dict[str, Any] = {"references": three, "candidates": four, "version": version, "limit": 5}
    assert len(list(cross_match(**arguments, general_limit=12))) == 3
    with pytest.raises(LunaError) as caught:
        list(cross_match(**arguments, general_limit=11))
    assert caught.value.code == errors.TOO_MANY_CROSS_MATCHING_OBJECTS == 31002
    assert "11" in caught.value.detail


@pytest.mark.parametrize("kind", KINDS)
def test_required_references(account: Account, version: DescriptorVersion, kind: str) -> None:
    some, ids = stored(account, kind, unit_vectors(2, DIMENSION))
    missing = uuid4()
    scope = some.scope
    bare = without_descriptor(account, kind)
    foreign, foreign_ids = stored(make_account(), kind, unit_vectors(1, DIMENSION))

    def named(*names: UUID) -> Candidates:
        if isinstance(some, AttributeCandidates):
            return AttributeCandidates(scope=scope, attribute_ids=names)
        return type(some)(scope=scope, filters={f"{kind}_ids": list(names)})

    for names, code in (
        ((*ids, missing), 28023),
        ((*ids, foreign_ids[0]), 28023),
        ((*ids, bare), 28024),
        ((bare, missing), 28023),
    ):
        with pytest.raises(LunaError) as caught:
            list(cross_match(references=named(*names), candidates=some, version=version, limit=1, required=True))
        assert caught.value.code == code
        assert str(names[-1]) in caught.value.detail
        assert len(list(cross_match(references=named(*names), candidates=some, version=version, limit=1))) == len(
            set(names) & set(ids)
        )
    assert len(foreign_ids) == 1
    assert foreign.scope != scope


def test_an_unexpected_failure(
    account: Account, version: DescriptorVersion, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise OSError("disk full")

    some, _ = stored(account, "face", unit_vectors(2, DIMENSION))
    monkeypatch.setattr(cross, "nearest", broken)
    with pytest.raises(LunaError) as caught:
        list(cross_match(references=some, candidates=some, version=version, limit=1))
    assert caught.value.code == 31003
    assert "disk full" in caplog.text


def test_memory_is_flat(version: DescriptorVersion) -> None:
    """A hundred blocks need as much memory as ten: blocks are read one after another."""
    vectors = unit_vectors(64, DIMENSION)
    block = unit_vectors(2048, DIMENSION, seed=1)

    def peak(count: int) -> int:
        tracemalloc.start()
        nearest(vectors, (block.copy() for _ in range(count)), limit=10, threshold=-1.0)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)
    assert peak(100) < 1.2 * peak(10)


@given(
    rows=st.integers(0, 40),
    parts=st.integers(1, 5),
    limit=st.integers(1, 50),
    threshold=st.sampled_from([-1.1, 0.0, 0.3, 1.0]),
    repeats=st.integers(1, 4),
    seed=st.integers(0, 10_000),
)
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nearest_rows_equal_a_plain_comparison(
    rows: int, parts: int, limit: int, threshold: float, repeats: int, seed: int
) -> None:
    """Equal rows have equal cosines wherever they are, so their order is that of their places."""
    matrix = np.repeat(unit_vectors(rows, DIMENSION, seed), repeats, axis=0)
    matrix = matrix[np.random.default_rng(seed).permutation(len(matrix))]
    vectors = unit_vectors(3, DIMENSION, seed + 1)
    if rows:
        vectors[0] = matrix[0]
    found = nearest(vectors, np.array_split(matrix, parts), limit=limit, threshold=threshold)
    for vector, (places, cosines) in zip(vectors, found, strict=True):
        exact = np.einsum("ij,j->i", matrix.astype(np.float64), vector.astype(np.float64))
        order = [at for at in np.argsort(-exact, kind="stable") if exact[at] >= threshold][:limit]
        assert places.tolist() == order
        assert cosines.tolist() == exact[order].tolist()
