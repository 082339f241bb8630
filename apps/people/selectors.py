"""Reads of groups and their decisions."""

from dataclasses import dataclass
from uuid import UUID

from apps.common.scope import Scope
from apps.events.models import Event
from apps.people.grouping import PeopleError
from apps.people.models import Person, PersonDecision, PersonEvent


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """An event of a group."""

    event: Event
    decided: bool


def people_list(*, scope: Scope, limit: int) -> list[Person]:
    """Return the groups with the most events."""
    return list(Person.objects.for_scope(scope).order_by("-event_count", "-pk")[:limit])


def person_get(*, scope: Scope, person_id: UUID) -> Person:
    """Return a group. Raises PeopleError if it does not exist."""
    person: Person | None = Person.objects.for_scope(scope).filter(person_id=person_id).first()
    if person is None:
        raise PeopleError(f"There is no group {person_id}. A later run may have replaced it.")
    return person


def person_members(*, person: Person, limit: int, after: int = 0) -> list[Member]:
    """Return events of a group, newest first, from the place `after` on."""
    members = PersonEvent.objects.filter(person=person)
    events = Event.objects.for_account(person.account_id).filter(event_id__in=members.values("event_id"))
    shown: list[Event] = list(events.order_by("-create_time", "-pk")[after : after + limit])
    decided = set(
        members.filter(event_id__in=[each.event_id for each in shown], decided=True).values_list("event_id", flat=True)
    )
    return [Member(each, each.event_id in decided) for each in shown]


def person_last_decision(*, person: Person) -> PersonDecision | None:
    """Return the last decision about a group, which can be undone."""
    rows = PersonDecision.objects.for_account(person.account_id).filter(people__contains=[person.pk])
    found: PersonDecision | None = rows.order_by("-pk").first()
    return found
