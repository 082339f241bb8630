"""Runs that propose groups of events of one person each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from django.db import transaction

from apps.common.config import config
from apps.common.descriptors import versions
from apps.common.filters import Filters
from apps.common.scope import Scope
from apps.events.selectors import events_filter
from apps.matching.clusters import Objects, stored_objects, tracks
from apps.matching.types import EventCandidates
from apps.people.grouping import UNDECIDED, Check, Group, Numbers, grouped
from apps.people.models import Person, PersonEvent
from apps.people.rows import people_clear, people_lock, people_refresh
from apps.tasks.config import Tasks

FEWEST_EVENTS = 2
BATCH_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Proposed:
    """The result of a run.

    `events`: compared ones. `groups`: proposals of at least `FEWEST_EVENTS` events, and `proposed` their events.
    `assigned`: events that joined a decided person.
    """

    events: int
    groups: int
    proposed: int
    assigned: int


class DecisionsChangedError(RuntimeError):
    """Decisions were made during a run, which has changed nothing."""


def people_propose(
    *,
    account_id: UUID,
    filters: Filters,
    threshold: float | None = None,
    check: Check = lambda: None,
    progress: Check = lambda: None,
) -> Proposed:
    """Replace the proposals of an account by groups of the events that pass the filters.

    The faces of these events are compared with each other and with the decided events. Decisions keep: see `grouping`.
    `threshold`: similarity 0..1, None for that of clustering. `check` is called regularly, and may raise an error;
    nothing has changed then.

    Raises PeopleError as `grouped`, DecisionsChangedError if an operator has decided at the same time.
    """
    scope, version = Scope(account_id), versions.default("face")
    similarity = config(Tasks).default_clustering_threshold if threshold is None else threshold
    decided = _decided(account_id)
    with stored_objects(_sets(scope, filters, list(decided)), version, check=check) as objects:
        found = grouped(
            objects.rows,
            tracks(objects, check=check),
            _numbers(objects, decided),
            version.calibration.cosine(similarity),
            check=check,
            progress=progress,
        )
    return _store(account_id, objects, found, decided)


def _decided(account_id: UUID) -> dict[UUID, int]:
    """Return the person of each decided event."""
    rows = PersonEvent.objects.filter(person__account_id=account_id, decided=True)
    return dict(rows.values_list("event_id", "person_id"))


def _sets(scope: Scope, filters: Filters, decided: Sequence[UUID]) -> list[EventCandidates]:
    """Return the events that pass the filters, and the decided events that do not."""
    sets = [EventCandidates(scope=scope, filters=filters)]
    for start in range(0, len(decided), BATCH_ROWS):
        ids = decided[start : start + BATCH_ROWS]
        passing = events_filter(scope=scope, filters=filters).filter(event_id__in=ids)
        others = set(ids).difference(passing.values_list("event_id", flat=True))
        sets.append(EventCandidates(scope=scope, filters={"event_ids": sorted(others)}))
    return sets


def _numbers(objects: Objects, decided: dict[UUID, int]) -> Numbers:
    numbers = np.full(len(objects.keys), UNDECIDED, np.int64)
    if decided:
        for place in range(len(numbers)):
            numbers[place] = decided.get(objects.id_of(place), UNDECIDED)
    return numbers


@transaction.atomic
def _store(account_id: UUID, objects: Objects, found: Sequence[Group], decided: dict[UUID, int]) -> Proposed:
    people_lock(account_id)
    if _decided(account_id) != decided:
        raise DecisionsChangedError("decisions were made during the run: run it again")
    undecided = PersonEvent.objects.filter(person__account_id=account_id, decided=False)
    earlier: dict[UUID, int] = dict(undecided.filter(person__decided=False).values_list("event_id", "person_id"))
    undecided.delete()
    proposals = [each for each in found if each.person == UNDECIDED and len(each.places) >= FEWEST_EVENTS]
    keys = _proposed_people(account_id, objects, proposals, earlier)
    known = [each for each in found if each.person != UNDECIDED]
    members = [(key, each.places) for key, each in zip(keys, proposals, strict=True)]
    members += [(each.person, each.places) for each in known]
    assigned = _add_members(objects, members, decided)
    proposed = sum(len(each.places) for each in proposals)
    people_refresh(account_id)
    people_clear(account_id)
    return Proposed(len(objects.keys), len(proposals), proposed, assigned - proposed)


def _proposed_people(
    account_id: UUID, objects: Objects, proposals: Sequence[Group], earlier: dict[UUID, int]
) -> list[int]:
    """Return a group for each proposal: the earlier proposal with its oldest event, or a new one."""
    free = set(earlier.values())
    kept: list[int | None] = []
    for each in proposals:
        key = earlier.get(objects.id_of(int(each.places[0])))
        kept.append(key if key in free else None)
        free.discard(key)
    new = iter(
        Person.objects.bulk_create(
            [Person(account_id=account_id) for key in kept if key is None], batch_size=BATCH_ROWS
        )
    )
    return [next(new).pk if key is None else key for key in kept]


def _add_members(objects: Objects, members: Sequence[tuple[int, Any]], decided: dict[UUID, int]) -> int:
    """Add proposed memberships; return their number."""
    rows: list[PersonEvent] = []
    count = 0
    for key, places in members:
        for place in places:
            event_id = objects.id_of(int(place))
            if event_id not in decided:
                rows.append(PersonEvent(person_id=key, event_id=event_id))
                count += 1
            if len(rows) >= BATCH_ROWS:
                PersonEvent.objects.bulk_create(rows)
                rows = []
    PersonEvent.objects.bulk_create(rows)
    return count
