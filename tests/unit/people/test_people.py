"""Proposals of people, decisions of operators and what they leave: rows, faces, audit lines."""

import io
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from apps.accounts.erasure import account_erase
from apps.accounts.models import Account, AuditRecord
from apps.accounts.services import account_close
from apps.common.descriptors import Descriptor, DescriptorRegistry, Vector
from apps.common.errors import LunaError
from apps.common.holdings import Trace
from apps.common.scope import Scope
from apps.events.models import Event
from apps.faces.models import Face, FaceDescriptor, ListFace
from apps.faces.services import face_delete, list_create
from apps.people import proposals, services
from apps.people.grouping import PeopleError, grouped
from apps.people.jobs import clean_up
from apps.people.models import Person, PersonDecision, PersonEvent
from apps.people.proposals import DecisionsChangedError, Proposed, people_propose
from apps.people.rows import people_refresh
from apps.people.selectors import people_list, people_similar, person_get, person_last_decision, person_members
from apps.people.services import decision_undo, people_apart, people_merge, person_name, person_split
from apps.privacy.erasure import person_erase
from tests.factories import make_account, make_event, make_version, unit_vectors
from tests.unit.matching.test_components import expected, people

VERSION, DIMENSION = 9741, 24
Groups = set[frozenset[UUID]]


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    make_version(VERSION, DIMENSION)
    monkeypatch.setattr(DescriptorRegistry, "default", lambda self, kind="face": self.get(VERSION))


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


def events_of(account: Account, vectors: Vector, **columns: Any) -> list[UUID]:
    return [make_event(account, Descriptor(VERSION, each, 0.5), **columns).event_id for each in vectors]


def same(count: int, seed: int) -> Vector:
    """Descriptors of one person."""
    return np.repeat(unit_vectors(1, DIMENSION, seed), count, axis=0)


def propose(account: Account, threshold: float = 0.9, **filters: Any) -> Proposed:
    return people_propose(account_id=account.account_id, filters=filters, threshold=threshold)


def groups(account: Account) -> Groups:
    found: dict[int, set[UUID]] = {}
    for key, event_id in PersonEvent.objects.filter(person__account=account).values_list("person_id", "event_id"):
        found.setdefault(key, set()).add(event_id)
    for person in Person.objects.for_account(account.account_id):
        assert person.event_count == len(found.get(person.pk, ()))
    return {frozenset(each) for each in found.values()}


def group_of(event_id: UUID) -> Person:
    return PersonEvent.objects.select_related("person").get(event_id=event_id).person


def rows() -> list[Any]:
    """All groups and memberships, without times."""
    people_rows = (
        Person.objects.unscoped()
        .order_by("pk")
        .values_list("pk", "person_id", "name", "decided", "face_id", "event_count", "cover_event_id")
    )
    return [*people_rows, *PersonEvent.objects.order_by("event_id").values_list("person_id", "event_id", "decided")]


class TestProposals:
    def test_groups_are_components_of_at_least_two_events(self, account: Account) -> None:
        vectors = people(12, 3, DIMENSION, 0.8)
        ids = events_of(account, vectors)
        events_of(make_account(), vectors)
        make_event(account)
        labels = expected(vectors, 0.5)  # the cosine of similarity .4
        wanted = {frozenset(ids[at] for at in range(36) if labels[at] == root) for root in set(labels)}
        large = {each for each in wanted if len(each) > 1}
        found = propose(account, 0.4)
        assert groups(account) == large
        assert found == Proposed(36, len(large), sum(map(len, large)), 0)
        assert not Person.objects.for_account(account.account_id).filter(decided=True).exists()

    def test_a_run_replaces_proposals_and_keeps_their_ids(self, account: Account) -> None:
        first = events_of(account, same(2, 1))
        second = events_of(account, same(3, 2), source="gate")
        propose(account)
        before = group_of(first[0]).person_id, group_of(second[0]).person_id
        more = events_of(account, same(1, 1))
        propose(account)
        assert (group_of(first[0]).person_id, group_of(second[0]).person_id) == before
        assert groups(account) == {frozenset([*first, *more]), frozenset(second)}
        propose(account, sources=["gate"])
        assert groups(account) == {frozenset(second)}
        assert group_of(second[0]).person_id == before[1]

    def test_columns_of_a_group(self, account: Account) -> None:
        first, second = events_of(account, same(2, 1))
        propose(account)
        person = group_of(first)
        newest = Event.objects.for_account(account.account_id).get(event_id=second)
        assert (person.cover_event_id, person.last_seen) == (second, newest.create_time)
        assert [each.event.event_id for each in person_members(person=person, limit=5)] == [second, first]
        assert people_list(scope=Scope(account.account_id), limit=5) == [person]
        assert people_list(scope=Scope(uuid4()), limit=5) == []

    def test_nothing_to_compare(self, account: Account) -> None:
        assert propose(account) == Proposed(0, 0, 0, 0)

    def test_decided_events_attract_new_ones_beyond_the_filters(self, account: Account) -> None:
        old = events_of(account, same(2, 1), source="archive")
        propose(account)
        person_name(account_id=account.account_id, person_id=group_of(old[0]).person_id, name="Ada")
        new = events_of(account, same(2, 1), source="gate")
        found = propose(account, sources=["gate"])
        assert found == Proposed(4, 0, 0, 2)
        assert groups(account) == {frozenset([*old, *new])}
        assert group_of(new[0]).name == "Ada"
        decided = dict(PersonEvent.objects.values_list("event_id", "decided"))
        assert decided == {**dict.fromkeys(old, True), **dict.fromkeys(new, False)}

    def test_decisions_during_a_run(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        ids = events_of(account, same(2, 1))
        propose(account)
        before = rows()

        def meanwhile(*args: Any, **kwargs: Any) -> Any:
            person_name(account_id=account.account_id, person_id=group_of(ids[0]).person_id, name="Ada")
            return grouped(*args, **kwargs)

        monkeypatch.setattr(proposals, "grouped", meanwhile)
        with pytest.raises(DecisionsChangedError):
            propose(account)
        assert group_of(ids[0]).name == "Ada"
        assert rows() != before

    def test_an_error_of_check_changes_nothing(self, account: Account) -> None:
        class Stop(BaseException):
            pass

        def stop() -> None:
            raise Stop

        events_of(account, same(2, 1))
        propose(account)
        before = rows()
        events_of(account, same(2, 2))
        with pytest.raises(Stop):
            people_propose(account_id=account.account_id, filters={}, check=stop)
        assert rows() == before


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


class TestErasure:
    def test_of_a_person(self, account: Account) -> None:
        """The group of an erased event goes with its name and all decisions that led to it; others stay."""
        key = account.account_id
        first = events_of(account, same(2, 1), external_id="ada")
        second = events_of(account, same(2, 2))
        third = events_of(account, same(2, 3))
        propose(account)
        people_merge(account_id=key, person_ids=[group_of(first[0]).person_id, group_of(second[0]).person_id])
        person_name(account_id=key, person_id=group_of(first[0]).person_id, name="Ada", event_id=second[0])
        kept = person_name(account_id=key, person_id=group_of(third[0]).person_id, name="Grace")
        group = group_of(first[0]).person_id
        receipt = person_erase(trace=Trace(external_id="ada", account_id=key), dry_run=False)
        assert receipt.found["person_groups"] == [str(group)]
        assert groups(account) == {frozenset(third)}
        assert [face.user_data for face in Face.objects.for_account(key)] == ["Grace"]
        assert list(PersonDecision.objects.unscoped()) == [kept]
        assert AuditRecord.objects.filter(action="erase", object_type="person_group", object_id=str(group)).count() == 1
        propose(account)
        assert groups(account) == {frozenset(third), frozenset(second)}

    def test_of_a_face(self, account: Account) -> None:
        ids = events_of(account, same(2, 1))
        propose(account)
        person_name(account_id=account.account_id, person_id=group_of(ids[0]).person_id, name="Ada")
        face = Face.objects.for_account(account.account_id).get()
        person_erase(trace=Trace(face_id=face.face_id), dry_run=False)
        assert not Person.objects.unscoped().exists()
        assert not PersonDecision.objects.unscoped().exists()

    def test_of_an_account(self, account: Account) -> None:
        ids = events_of(account, same(2, 1))
        other = make_account()
        others = events_of(other, same(2, 1))
        for each in (account, other):
            propose(each)
        person_name(account_id=account.account_id, person_id=group_of(ids[0]).person_id, name="Ada")
        account_close(account=account)
        assert account_erase(account_id=account.account_id) is not None
        assert set(PersonEvent.objects.values_list("event_id", flat=True)) == set(others)
        assert not PersonDecision.objects.unscoped().exists()

    def test_deleted_events_leave_their_groups(self, account: Account) -> None:
        first, second = events_of(account, same(3, 1)), events_of(account, same(2, 2))
        propose(account)
        person_name(account_id=account.account_id, person_id=group_of(first[0]).person_id, name="Ada")
        Event.objects.for_account(account.account_id).filter(event_id__in=[first[0], *second]).delete()
        clean_up()
        assert groups(account) == {frozenset(first[1:])}
        assert [each.name for each in Person.objects.unscoped()] == ["Ada"]


class TestCommand:
    def run(self, *arguments: object) -> str:
        output = io.StringIO()
        call_command("people", *map(str, arguments), stdout=output)
        return output.getvalue()

    def test_every_subcommand(self, account: Account) -> None:
        key = account.account_id
        first, second = events_of(account, same(3, 1)), events_of(account, same(2, 2))
        found = self.run("propose", "--account", key, "--threshold", "0.9", "--since", "2020-01-01T00:00:00Z")
        assert found.startswith("5 events with faces: 2 proposals with 5 events, 0 events joined decided people")
        one, two = group_of(first[0]).person_id, group_of(second[0]).person_id
        assert [line.split()[0] for line in self.run("list", "--account", key).splitlines()] == [str(one), str(two)]
        guests = list_create(account_id=key)
        assert "decided  Ada" in self.run("name", one, "Ada", "--list", guests.list_id, "--event", first[1])
        assert "5 events" in self.run("merge", one, two)
        assert len(self.run("split", one, *second).splitlines()) == 2
        assert "confirmed" in self.run("show", one)
        assert "5 events" in self.run("undo", one)
        assert groups(account) == {frozenset([*first, *second])}

    @pytest.mark.parametrize(
        "arguments",
        [
            ("propose", "--account", uuid4()),
            ("show", uuid4()),
            ("name", uuid4(), "Ada"),
            ("name", "ada", "Ada"),
            ("undo", uuid4()),
            ("propose",),
        ],
    )
    def test_bad_arguments(self, db: None, arguments: tuple[object, ...]) -> None:
        with pytest.raises(CommandError):
            self.run(*arguments)

    def test_bad_threshold(self, account: Account) -> None:
        with pytest.raises(CommandError, match="0 to 1"):
            self.run("propose", "--account", account.account_id, "--threshold", "1.5")


class TestKeepingApart:
    def test_groups_that_are_not_the_same_person_stay_apart(self, account: Account) -> None:
        """One proposal is split by two runs; a run with a low threshold does not join the decided groups again."""
        vectors = same(4, seed=9)
        first, second = events_of(account, vectors[:2]), events_of(account, vectors[2:])
        people = []
        for ids in (first, second):
            person = Person.objects.create(account=account)
            PersonEvent.objects.bulk_create(PersonEvent(person=person, event_id=each) for each in ids)
            people.append(person)
        people_refresh(account.pk)

        similar = people_similar(person=Person.objects.for_account(account.pk).get(pk=people[0].pk), limit=5)
        assert [each.person for each in similar] == [people[1]]
        assert similar[0].similarity > 0.9

        decision = people_apart(account_id=account.pk, person_ids=[each.person_id for each in people])
        propose(account)
        assert group_of(first[0]).pk != group_of(second[0]).pk
        decision_undo(account_id=account.pk, decision_id=decision.pk)
        propose(account)
        assert group_of(first[0]).pk == group_of(second[0]).pk

    def test_a_group_without_descriptor_resembles_none(self, account: Account) -> None:
        person = Person.objects.create(account=account, cover_event_id=uuid4())
        Person.objects.create(account=account, cover_event_id=uuid4())
        assert people_similar(person=person, limit=5) == []

    def test_one_group_alone(self, account: Account) -> None:
        person = Person.objects.create(account=account)
        with pytest.raises(PeopleError, match="two groups or more"):
            people_apart(account_id=account.pk, person_ids=[person.person_id])
