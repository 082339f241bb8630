"""Two operators decide about the same people at the same moment: one decision holds, and no event is lost."""

import threading
from collections.abc import Callable
from uuid import UUID

import numpy as np
import pytest
from django.db import connection

from apps.accounts.auth.principal import Actor
from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, DescriptorRegistry
from apps.faces.models import Face, List
from apps.faces.services import face_create, list_create
from apps.faces.types import FaceDraft
from apps.people.grouping import PeopleError
from apps.people.models import Person, PersonDecision, PersonEvent
from apps.people.proposals import people_propose
from apps.people.services import decision_undo, people_merge
from apps.workbench.errors import WorkbenchError
from apps.workbench.faces import faces_merge, state_of
from tests.factories import make_account, make_event, make_version, unit_vectors

pytestmark = pytest.mark.django_db(transaction=True)
VERSION, DIMENSION, TURNS = 9742, 24, 4


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    make_version(VERSION, DIMENSION)
    monkeypatch.setattr(DescriptorRegistry, "default", lambda self, kind="face": self.get(VERSION))
    return make_account()


def together(*actions: Callable[[], object]) -> list[Exception | None]:
    """Run actions at the same time, each with a connection of its own. Return what each raised."""
    gate, failures = threading.Barrier(len(actions)), [None] * len(actions)

    def act(number: int) -> None:
        gate.wait()
        try:
            actions[number]()
        except Exception as error:
            failures[number] = error  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=(number,)) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return failures  # type: ignore[return-value]


def test_merges_of_the_same_groups(account: Account) -> None:
    for vector in np.repeat(unit_vectors(3, DIMENSION), 2, axis=0):
        make_event(account, Descriptor(VERSION, vector, 0.5))
    people_propose(account_id=account.pk, filters={}, threshold=0.9)
    for _ in range(TURNS):
        first, second, third = (each.person_id for each in Person.objects.for_account(account.pk).order_by("pk"))

        def merge(*ids: UUID) -> Callable[[], object]:
            return lambda: people_merge(account_id=account.pk, person_ids=ids)

        failures = together(merge(first, second), merge(second, third), merge(third, first))
        assert all(each is None or isinstance(each, PeopleError) for each in failures)
        assert None in failures
        left = Person.objects.for_account(account.pk)
        assert left.count() == 3 - failures.count(None)
        assert PersonEvent.objects.filter(person__in=left).count() == 6
        for decision in reversed(decisions(account)):
            decision_undo(account_id=account.pk, decision_id=decision)
        assert left.count() == 3


def decisions(account: Account) -> list[int]:
    return list(PersonDecision.objects.for_account(account.pk).order_by("pk").values_list("pk", flat=True))


def test_merges_of_the_same_faces(account: Account) -> None:
    """Each face belongs to one person afterwards, and the operator who came second is told."""
    lists: list[List] = [list_create(account_id=account.pk) for _ in range(2)]
    for _ in range(TURNS):
        faces = [face_create(account_id=account.pk, draft=FaceDraft(lists=[row.list_id])) for row in lists]

        def merge(name: str, chosen: list[Face]) -> Callable[[], object]:
            rows = Face.objects.for_account(account.pk).filter(pk__in=[each.pk for each in chosen])
            seen = {each.face_id: state_of(each.last_update_time) for each in rows}
            return lambda: faces_merge(account_id=account.pk, seen=seen, name=name, external_id=name, actor=Actor())

        failures = together(merge("a", faces), merge("b", faces[::-1]))
        assert sorted(map(type, failures), key=str) == sorted([type(None), WorkbenchError], key=str)
        stored = Face.objects.for_account(account.pk).filter(pk__in=[each.pk for each in faces])
        assert len(set(stored.values_list("user_data", "external_id"))) == 1
