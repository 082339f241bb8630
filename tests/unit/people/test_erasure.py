"""Erasure of people and accounts in groups and decisions."""

import pytest

from apps.accounts.erasure import account_erase
from apps.accounts.models import Account, AuditRecord
from apps.accounts.services import account_close
from apps.common.holdings import Trace
from apps.events.models import Event
from apps.faces.models import Face
from apps.people.jobs import clean_up
from apps.people.models import Person, PersonDecision, PersonEvent
from apps.people.services import people_merge, person_name
from apps.privacy.erasure import person_erase
from tests.factories import make_account
from tests.unit.people.groups import events_of, group_of, groups, propose, same

pytestmark = pytest.mark.usefixtures("version")


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
