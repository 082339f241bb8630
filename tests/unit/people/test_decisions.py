"""Decisions of operators and what they leave: rows, faces, audit lines."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from apps.accounts.models import Account, AuditRecord
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.faces.models import Face, FaceDescriptor, ListFace
from apps.faces.services import face_delete, list_create
from apps.people import services
from apps.people.grouping import PeopleError
from apps.people.models import Person, PersonDecision, PersonEvent
from apps.people.selectors import person_get, person_last_decision
from apps.people.services import decision_undo, people_merge, person_name, person_split
from tests.factories import make_account, make_event, unit_vectors
from tests.unit.people.groups import DIMENSION, VERSION, events_of, group_of, groups, propose, rows, same

pytestmark = pytest.mark.usefixtures("version")


class TestDecisions:
    def test_a_split_keeps_over_later_runs(self, account: Account) -> None:
        """The two halves resemble each other more than the threshold: only the decision separates them."""
        ids = events_of(account, same(4, 1))
        propose(account)
        key = account.account_id
        person_split(account_id=key, person_id=group_of(ids[0]).person_id, event_ids=ids[2:])
        halves = {frozenset(ids[:2]), frozenset(ids[2:])}
        assert groups(account) == halves
        propose(account)
        assert groups(account) == halves
        assert PersonEvent.objects.filter(decided=True).count() == 4

    def test_a_merge_keeps_over_later_runs(self, account: Account) -> None:
        first, second = events_of(account, same(2, 1)), events_of(account, same(2, 2))
        propose(account)
        chosen = [group_of(first[0]).person_id, group_of(second[0]).person_id]
        people_merge(account_id=account.account_id, person_ids=chosen)
        whole = {frozenset([*first, *second])}
        assert groups(account) == whole
        more = events_of(account, same(1, 2))
        propose(account)
        assert groups(account) == {frozenset([*first, *second, *more])}

    def test_naming_enrols_a_face_in_a_list(self, account: Account) -> None:
        vectors = unit_vectors(2, DIMENSION)
        weak = make_event(account, Descriptor(VERSION, vectors[0], 0.2), track_id="7")
        good = make_event(account, Descriptor(VERSION, vectors[1], 0.9), track_id="7")
        propose(account)
        person = group_of(weak.event_id)
        guests = list_create(account_id=account.account_id)
        person_name(account_id=account.account_id, person_id=person.person_id, name=" Ada ", list_id=guests.list_id)
        person.refresh_from_db()
        face = Face.objects.for_account(account.account_id).get()
        assert (face.user_data, face.event_id, face.face_id) == ("Ada", good.event_id, person.face_id)
        assert ListFace.objects.filter(face=face, list=guests).count() == 1
        assert np.allclose(FaceDescriptor.objects.get(face=face).vector, vectors[1])
        assert (person.name, person.decided) == ("Ada", True)
        # A second name changes the same face.
        person_name(account_id=account.account_id, person_id=person.person_id, name="Ada Lovelace")
        face.refresh_from_db()
        assert face.user_data == "Ada Lovelace"

    def test_naming_with_a_chosen_event_and_its_existing_face(self, account: Account) -> None:
        ids = events_of(account, same(3, 1))
        propose(account)
        person = group_of(ids[0])
        person_name(account_id=account.account_id, person_id=person.person_id, name="Ada", event_id=ids[1])
        face = Face.objects.for_account(account.account_id).get()
        assert face.event_id == ids[1]
        decision_undo(account_id=account.account_id, decision_id=PersonDecision.objects.unscoped().get().pk)
        assert not Face.objects.for_account(account.account_id).exists()

    def test_actor_and_audit_lines(self, account: Account) -> None:
        ids = events_of(account, same(4, 1))
        propose(account)
        AuditRecord.objects.all().delete()
        person = group_of(ids[0])
        decision = person_split(account_id=account.account_id, person_id=person.person_id, event_ids=ids[:1])
        other = Person.objects.for_account(account.account_id).get(pk=decision.people[-1])
        lines = AuditRecord.objects.values_list("action", "object_type", "object_id", "object_account_id")
        wanted = {("update", "person_group", str(each.person_id), account.account_id) for each in (person, other)}
        assert set(lines) == wanted

    @pytest.mark.parametrize("name", ["", "   ", "x" * 129, "a\nb"])
    def test_bad_names(self, account: Account, name: str) -> None:
        ids = events_of(account, same(2, 1))
        propose(account)
        before = rows()
        with pytest.raises(PeopleError):
            person_name(account_id=account.account_id, person_id=group_of(ids[0]).person_id, name=name)
        assert rows() == before

    def test_impossible_decisions_change_nothing(self, account: Account) -> None:
        first, second = events_of(account, same(2, 1)), events_of(account, same(2, 2))
        other = make_account()
        propose(account)
        key, one, two = account.account_id, group_of(first[0]).person_id, group_of(second[0]).person_id
        for person_id, name in ((one, "Ada"), (two, "Grace")):
            person_name(account_id=key, person_id=person_id, name=name)
        before = rows()
        impossible: list[Callable[[], Any]] = [
            lambda: people_merge(account_id=key, person_ids=[one, two]),
            lambda: people_merge(account_id=key, person_ids=[one, one]),
            lambda: people_merge(account_id=other.account_id, person_ids=[one, two]),
            lambda: person_split(account_id=key, person_id=one, event_ids=[]),
            lambda: person_split(account_id=key, person_id=one, event_ids=first),
            lambda: person_split(account_id=key, person_id=one, event_ids=[second[0]]),
            lambda: person_split(account_id=other.account_id, person_id=one, event_ids=first[:1]),
            lambda: person_name(account_id=other.account_id, person_id=one, name="Eve"),
            lambda: person_name(account_id=key, person_id=uuid4(), name="Eve"),
            lambda: decision_undo(account_id=key, decision_id=0),
            lambda: decision_undo(
                account_id=other.account_id, decision_id=PersonDecision.objects.unscoped().latest("pk").pk
            ),
        ]
        for decision in impossible:
            with pytest.raises(PeopleError):
                decision()
            assert rows() == before
        with pytest.raises(LunaError):
            person_name(account_id=key, person_id=one, name="Ada", list_id=uuid4())
        assert rows() == before

    def test_named_people_stay_apart_when_they_resemble_each_other(self, account: Account) -> None:
        ids = events_of(account, same(3, 1))
        propose(account)
        decision = person_split(account_id=account.account_id, person_id=group_of(ids[0]).person_id, event_ids=ids[:1])
        for number, key in enumerate(decision.people):
            person = Person.objects.for_account(account.account_id).get(pk=key)
            person_name(account_id=account.account_id, person_id=person.person_id, name=f"twin {number}")
        more = events_of(account, same(5, 1))
        propose(account)
        found = groups(account)
        assert len(found) == 2
        assert frozenset().union(*found) == {*ids, *more}


class TestUndo:
    def test_every_decision_is_undone(self, account: Account) -> None:
        key = account.account_id
        first, second = events_of(account, same(3, 1)), events_of(account, same(2, 2))
        propose(account)
        start, one, two = rows(), group_of(first[0]).person_id, group_of(second[0]).person_id
        guests = list_create(account_id=key)
        person_name(account_id=key, person_id=one, name="Ada", list_id=guests.list_id)
        named = rows()
        people_merge(account_id=key, person_ids=[one, two])
        merged = rows()
        person_split(account_id=key, person_id=one, event_ids=first[:1])
        assert len({tuple(start), tuple(named), tuple(merged), tuple(rows())}) == 4
        for wanted in (merged, named, start):
            decision = person_last_decision(person=person_get(scope=Scope(key), person_id=one))
            assert decision is not None
            decision_undo(account_id=key, decision_id=decision.pk)
            assert rows() == wanted
        assert not PersonDecision.objects.unscoped().exists()
        assert not Face.objects.for_account(key).exists()

    def test_only_the_last_decision(self, account: Account) -> None:
        key = account.account_id
        ids = events_of(account, same(3, 1))
        propose(account)
        person_id = group_of(ids[0]).person_id
        first = person_name(account_id=key, person_id=person_id, name="Ada")
        person_split(account_id=key, person_id=person_id, event_ids=ids[:1])
        before = rows()
        with pytest.raises(PeopleError, match="later decision"):
            decision_undo(account_id=key, decision_id=first.pk)
        assert rows() == before

    def test_after_a_run(self, account: Account) -> None:
        key = account.account_id
        ids = events_of(account, same(4, 1))
        propose(account)
        person_id = group_of(ids[0]).person_id
        decision = person_split(account_id=key, person_id=person_id, event_ids=ids[:2])
        more = events_of(account, same(1, 1))
        propose(account)
        decision_undo(account_id=key, decision_id=decision.pk)
        assert groups(account) == {frozenset([*ids, *more])}
        propose(account)
        assert groups(account) == {frozenset([*ids, *more])}
        assert not PersonEvent.objects.filter(decided=True).exists()

    def test_of_a_name_whose_face_existed(self, account: Account) -> None:
        key = account.account_id
        ids = events_of(account, same(2, 1))
        propose(account)
        person_id = group_of(ids[0]).person_id
        guests = list_create(account_id=key)
        person_name(account_id=key, person_id=person_id, name="Ada")
        decision = person_name(account_id=key, person_id=person_id, name="Grace", list_id=guests.list_id)
        face = Face.objects.for_account(key).get()
        assert (face.user_data, ListFace.objects.count()) == ("Grace", 1)
        decision_undo(account_id=key, decision_id=decision.pk)
        face.refresh_from_db()
        assert (face.user_data, ListFace.objects.count()) == ("Ada", 0)
        assert person_get(scope=Scope(key), person_id=person_id).name == "Ada"

    def test_of_a_name_whose_face_is_deleted(self, account: Account) -> None:
        key = account.account_id
        ids = events_of(account, same(2, 1))
        propose(account)
        decision = person_name(account_id=key, person_id=group_of(ids[0]).person_id, name="Ada")
        face_delete(account_id=key, face_id=Face.objects.for_account(key).get().face_id)
        decision_undo(account_id=key, decision_id=decision.pk)
        assert group_of(ids[0]).name == ""

    def test_old_decisions_are_forgotten(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(services, "KEPT_DECISIONS", 2)
        ids = events_of(account, same(2, 1))
        propose(account)
        for name in ("a", "b", "c"):
            person_name(account_id=account.account_id, person_id=group_of(ids[0]).person_id, name=name)
        assert PersonDecision.objects.unscoped().count() == 2
