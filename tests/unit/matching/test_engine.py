"""The protocol of matchers, as the database keeps it, and hydration: keys and cosines first, then objects by key."""

from uuid import uuid4

import numpy as np
import pytest
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, DescriptorVersion, Vector, versions
from apps.common.scope import Scope
from apps.faces.attributes import attribute_create, attribute_delete
from apps.faces.models import Face
from apps.faces.services import face_create, face_delete, list_create
from apps.faces.types import AttributeData, FaceDraft, FaceRow
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.engine.protocol import Hit, Key
from apps.matching.hydration import hydrate
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates
from tests.factories import make_account, make_event, make_version, unit_vectors

VERSION, DIMENSION = 9801, 16
KINDS = ("face", "event", "attribute")


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


@pytest.fixture(autouse=True)
def version() -> DescriptorVersion:
    return make_version(VERSION, DIMENSION)


def stored(account: Account, kind: str, vectors: Vector) -> tuple[Candidates, list[Key]]:
    """One object of a kind for each vector: all of them as candidates, and their keys in the order of making."""
    found = [Descriptor(VERSION, vector) for vector in vectors]
    scope = Scope(account.account_id)
    if kind == "face":
        faces = [
            face_create(account_id=account.account_id, draft=FaceDraft(attribute=AttributeData((each,))))
            for each in found
        ]
        return FaceCandidates(scope=scope), [face.pk for face in faces]
    if kind == "event":
        return EventCandidates(scope=scope), [make_event(account, each).pk for each in found]
    attributes = [attribute_create(account_id=account.account_id, data=AttributeData((each,))) for each in found]
    ids = [each.attribute_id for each in attributes]
    return AttributeCandidates(scope=scope, attribute_ids=(*ids[::-1], uuid4())), list(ids)


def search(candidates: Candidates, vectors: Vector, limit: int = 100, threshold: float = -1.0) -> list[list[Hit]]:
    return DatabaseMatcher().search(candidates, versions.get(VERSION), list(vectors), limit, threshold)


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_cosines_highest_first(account: Account, kind: str) -> None:
    vectors = unit_vectors(12, DIMENSION)
    candidates, keys = stored(account, kind, vectors[2:])
    for vector, hits in zip(vectors[:2], search(candidates, vectors[:2]), strict=True):
        cosines = vectors[2:].astype(np.float64) @ vector.astype(np.float64)
        order = np.argsort(-cosines, kind="stable")
        assert [hit.key for hit in hits] == [keys[place] for place in order]
        assert [hit.cosine for hit in hits] == pytest.approx(cosines[order], abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_bounds(account: Account, kind: str) -> None:
    vectors = unit_vectors(12, DIMENSION)
    candidates, _ = stored(account, kind, vectors[1:])
    (every,) = search(candidates, vectors[:1])
    assert len(every) == 11
    assert search(candidates, vectors[:1], limit=3) == [every[:3]]
    assert search(candidates, vectors[:1], threshold=every[4].cosine) == [every[:5]]
    assert search(candidates, vectors[:1], threshold=1.0) == [[]]


@pytest.mark.parametrize("kind", KINDS)
def test_ties_are_in_the_order_of_making(account: Account, kind: str) -> None:
    vector = unit_vectors(1, DIMENSION)
    candidates, keys = stored(account, kind, np.repeat(vector, 6, axis=0))
    (hits,) = search(candidates, vector, limit=4)
    assert [hit.key for hit in hits] == keys[:4]


@pytest.mark.parametrize("kind", KINDS)
def test_objects_by_key_in_one_statement(
    account: Account, kind: str, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    candidates, keys = stored(account, kind, unit_vectors(5, DIMENSION))
    with django_assert_max_num_queries(1):
        found = hydrate(candidates=candidates, keys=keys, targets=frozenset())
    assert found.keys() == set(keys)
    with django_assert_max_num_queries(0):
        assert hydrate(candidates=candidates, keys=[], targets=frozenset()) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_objects_of_another_account_stay_hidden(account: Account, kind: str) -> None:
    """Whatever keys a matcher gives: hydration reads within the scope of the candidates."""
    _, keys = stored(account, kind, unit_vectors(2, DIMENSION))
    foreign, _ = stored(make_account(), kind, unit_vectors(2, DIMENSION))
    assert hydrate(candidates=foreign, keys=keys, targets=frozenset()) == {}


def test_objects_that_were_deleted_since_are_left_out(account: Account) -> None:
    faces, keys = stored(account, "face", unit_vectors(2, DIMENSION))
    face_delete(
        account_id=account.account_id, face_id=Face.objects.for_account(account.account_id).get(pk=keys[0]).face_id
    )
    assert hydrate(candidates=faces, keys=keys, targets=frozenset()).keys() == {keys[1]}
    attributes, ids = stored(account, "attribute", unit_vectors(2, DIMENSION))
    attribute_delete(account_id=account.account_id, attribute_id=ids[0])  # type: ignore[arg-type]
    assert hydrate(candidates=attributes, keys=ids, targets=frozenset()).keys() == {ids[1]}


def test_lists_are_read_only_where_they_are_asked_for(account: Account) -> None:
    row = list_create(account_id=account.account_id)
    face = face_create(account_id=account.account_id, draft=FaceDraft(lists=[row.list_id], external_id="e"))
    candidates = FaceCandidates(scope=Scope(account.account_id))
    for targets, lists in ((frozenset(), [row.list_id]), ({"lists"}, [row.list_id]), ({"face_id"}, [])):
        found = hydrate(candidates=candidates, keys=[face.pk], targets=targets)[face.pk]
        assert found.lists == lists


def test_faces_are_read_with_the_members_of_their_targets(account: Account) -> None:
    face = face_create(account_id=account.account_id, draft=FaceDraft(external_id="e", user_data="u"))
    candidates = FaceCandidates(scope=Scope(account.account_id))
    every = hydrate(candidates=candidates, keys=[face.pk], targets=())[face.pk]
    assert isinstance(every, FaceRow)
    for name in FaceRow._fields[1:]:
        found = hydrate(candidates=candidates, keys=[face.pk], targets={name})[face.pk]
        assert isinstance(found, FaceRow)
        read = {"id", "face_id", name}
        expected = {each: getattr(every, each) if each in read else None for each in FaceRow._fields}
        assert found._asdict() == expected | {"lists": []}


def test_events_are_read_with_the_columns_of_their_targets(
    account: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    event = make_event(account, source="gate", external_id="e")
    candidates = EventCandidates(scope=Scope(account.account_id))
    found = hydrate(candidates=candidates, keys=[event.pk], targets={"source"})[event.pk]
    with django_assert_num_queries(0):
        assert (found.event_id, found.source) == (event.event_id, "gate")
    assert "match_result" in found.get_deferred_fields()
