"""Events of people, and the groups that are stored of them."""

from typing import Any
from uuid import UUID

import numpy as np

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, Vector
from apps.people.models import Person, PersonEvent
from apps.people.proposals import Proposed, people_propose
from tests.factories import make_event, unit_vectors

VERSION, DIMENSION = 9741, 24
Groups = set[frozenset[UUID]]


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
