"""Matching of many with many for tasks, against a plain float64 comparison."""

import tracemalloc
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, DescriptorVersion, Vector
from apps.common.errors import LunaError
from apps.common.filters.language import ANY_OF
from apps.common.scope import Scope
from apps.faces.attributes import attribute_create
from apps.faces.models import Face, FaceDescriptor
from apps.faces.types import AttributeData
from apps.matching import cross
from apps.matching.cross import CrossMatches, cross_match, described_count, lacking, pairs_check
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
def test_numbers_of_objects(account: Account, version: DescriptorVersion, kind: str) -> None:
    three, _ = stored(account, kind, unit_vectors(3, DIMENSION))
    four, _ = stored(account, "face", unit_vectors(4, DIMENSION))
    none, _ = stored(account, kind, unit_vectors(0, DIMENSION))
    pairs_check(references=three, candidates=four, version=version, general_limit=12)
    pairs_check(references=[three], candidates=[four, none], version=version, general_limit=12)
    for references, candidates, code, told in (
        (three, four, 31002, "11"),
        (four, three, 31002, "11"),
        ([four, none], [three, none], 31002, "11"),
        (none, four, 28022, "References"),
        (four, none, 28022, "Candidates"),
        ([none], [none], 28022, "References"),
    ):
        with pytest.raises(LunaError) as caught:
            pairs_check(references=references, candidates=candidates, version=version, general_limit=11)
        assert caught.value.code == code
        assert told in caught.value.detail


@pytest.mark.parametrize("kind", KINDS)
def test_references_that_cannot_be_compared(account: Account, version: DescriptorVersion, kind: str) -> None:
    some, ids = stored(account, kind, unit_vectors(2, DIMENSION))
    missing = uuid4()
    scope = some.scope
    bare = without_descriptor(account, kind)
    _, (foreign,) = stored(make_account(), kind, unit_vectors(1, DIMENSION))

    def named(*names: UUID) -> Candidates:
        if isinstance(some, AttributeCandidates):
            return AttributeCandidates(scope=scope, attribute_ids=names)
        one, others = {f"{kind}_ids": list(names[:1])}, {f"{kind}_ids": list(names[1:])}
        return type(some)(scope=scope, filters={ANY_OF: (one, others)})

    references = named(*ids, bare, missing, foreign)
    found = [(each, error.code) for each, error in lacking(references, version)]
    assert found == [(bare, 28024), (missing, 28023), (foreign, 28023)]
    assert list(lacking([some, named(*ids)], version)) == []
    assert list(lacking(type(some)(scope=scope), version)) == []
    matched = cross_match(references=references, candidates=some, version=version, limit=1)
    assert [each.reference_id for each in matched] == ids


@pytest.mark.parametrize("kind", KINDS)
def test_references_of_a_range_of_keys(
    account: Account, version: DescriptorVersion, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(cross, "GROUP_MAX", 2)
    some, ids = stored(account, kind, unit_vectors(7, DIMENSION))
    keys = [int(key) for page in cross.pages(some, version, 3) for key in page.keys]
    for first in range(8):
        for last in range(first, 8):
            after, until = [0, *keys][first], [0, *keys][last]
            found = cross_match(
                references=some, candidates=some, version=version, limit=1, after=after, until=until
            )  # fmt: skip
            assert [each.reference_id for each in found] == ids[first:last]


def test_several_sets_of_candidates(account: Account, version: DescriptorVersion) -> None:
    vectors = unit_vectors(9, DIMENSION)
    faces, face_ids = stored(account, "face", vectors[:4])
    events, event_ids = stored(account, "event", vectors[4:])
    found = list(cross_match(references=faces, candidates=[faces, events], version=version, limit=9))
    check(found, expected(version, (face_ids, vectors[:4]), ([*face_ids, *event_ids], vectors), 9, 0.0))
    assert described_count([faces, events], version) == 9


def test_any_of_several_filters(account: Account, version: DescriptorVersion) -> None:
    vectors = unit_vectors(6, DIMENSION)
    scope = Scope(account.account_id)
    _, staff = stored(account, "face", vectors[:2], user_data="staff")
    _, guests = stored(account, "face", vectors[2:4], user_data="guest")
    stored(account, "face", vectors[4:], user_data="other")
    several = ({"user_data": "staff"}, {"face_ids": [staff[0], guests[1]]})
    some = FaceCandidates(scope=scope, filters={ANY_OF: several})
    assert [found for page in cross.pages(some, version, 2) for found in page.ids] == [*staff, guests[1]]
    both = FaceCandidates(scope=scope, filters={ANY_OF: several, "user_data": "guest"})
    assert described_count(both, version) == 1
    every = FaceCandidates(scope=scope, filters={ANY_OF: ({"user_data": "staff"}, {})})
    assert described_count(every, version) == 6


def test_a_check_ends_the_work(account: Account, version: DescriptorVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross, "PAGE_ROWS", 2)
    monkeypatch.setattr(cross, "BLOCK_BYTES", 4 * DIMENSION * 2)
    some, _ = stored(account, "face", unit_vectors(6, DIMENSION))

    class EndedError(BaseException):
        pass

    def passed(most: int) -> int:
        count = 0

        def check() -> None:
            nonlocal count
            count += 1
            if count > most:
                raise EndedError

        list(cross_match(references=some, candidates=some, version=version, limit=1, check=check))
        return count

    assert passed(100) == 6  # pages of candidates, and blocks
    for most in range(6):
        with pytest.raises(EndedError):
            passed(most)


def test_a_lost_database_is_no_failure_of_matching(
    account: Account, version: DescriptorVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*args: Any, **kwargs: Any) -> Any:
        raise OperationalError("server closed the connection")

    some, _ = stored(account, "face", unit_vectors(2, DIMENSION))
    monkeypatch.setattr(cross, "faces_vectors", lost)
    with pytest.raises(OperationalError):
        list(cross_match(references=some, candidates=some, version=version, limit=1))


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
