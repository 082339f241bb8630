"""Reads of groups and their decisions."""

from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from apps.common import errors
from apps.common.descriptors import versions
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.events.models import Event
from apps.matching import matcher
from apps.matching.references import references_resolve
from apps.matching.types import Block, EventCandidates, Reference
from apps.people.grouping import PeopleError
from apps.people.models import Person, PersonDecision, PersonEvent

MAX_COMPARED = 1000  # largest groups that a group is compared with
NOTHING_TO_COMPARE = (
    errors.EVENTS_DISABLED, errors.EVENT_NOT_FOUND, errors.DESCRIPTOR_NOT_EXTRACTED, errors.DESCRIPTOR_VERSION_NOT_FOUND
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Similar:
    """A group that resembles another one. `similarity`: of the newest events of both, 0..1."""

    person: Person
    similarity: float


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
        raise PeopleError(
            _("There is no group %(id)s. Another operator may have merged it, or a later run replaced it.")
            % {"id": person_id}
        )
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


def people_similar(*, person: Person, limit: int) -> list[Similar]:
    """Return the groups whose newest event resembles that of a group most, among the largest of the account.

    Empty if the group's newest event has no face descriptor.
    """
    if person.cover_event_id is None:
        return []
    rows = Person.objects.for_account(person.account_id).exclude(pk=person.pk).filter(cover_event_id__isnull=False)
    others = {each.cover_event_id: each for each in rows.order_by("-event_count", "-pk")[:MAX_COMPARED]}
    if not others:
        return []
    scope = Scope(person.account_id)
    reference = Reference("event", str(person.cover_event_id))
    try:
        found = references_resolve(scope=scope, references=[reference], version=versions.default("face"))
    except LunaError as error:
        if error.code not in NOTHING_TO_COMPARE:
            raise
        return []
    block = Block(EventCandidates(scope=scope, filters={"event_ids": list(others)}), limit=limit)
    (matches,) = matcher.match(probes=[probe for _, probe in found], block=block)
    return [Similar(others[match.object_id], match.similarity) for match in matches]
