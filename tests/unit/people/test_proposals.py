"""Proposals of people, events that decisions keep apart, and the command."""

import io
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Account
from apps.common.scope import Scope
from apps.events.models import Event
from apps.faces.services import list_create
from apps.people import proposals
from apps.people.grouping import PeopleError, grouped
from apps.people.models import Person, PersonEvent
from apps.people.proposals import DecisionsChangedError, Proposed, people_propose
from apps.people.rows import people_refresh
from apps.people.selectors import people_list, people_similar, person_members
from apps.people.services import decision_undo, people_apart, person_name
from tests.factories import make_account, make_event
from tests.unit.matching.test_components import expected, people
from tests.unit.people.groups import DIMENSION, events_of, group_of, groups, propose, rows, same

pytestmark = pytest.mark.usefixtures("version")


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
