"""Rows of groups: their lock, the columns that follow from their events, and the removal of what is gone."""

from collections.abc import Collection
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef

from apps.events.models import Event
from apps.people.models import Person, PersonDecision, PersonEvent

REFRESH = """
UPDATE people_person AS person
SET event_count = found.events, cover_event_id = found.cover, last_seen = found.seen
FROM (
    SELECT known.id, count(event.event_id) AS events, max(event.create_time) AS seen,
        (array_agg(event.event_id ORDER BY event.create_time DESC, event.id DESC)
            FILTER (WHERE event.event_id IS NOT NULL))[1] AS cover
    FROM people_person AS known
    LEFT JOIN people_personevent AS member ON member.person_id = known.id
    LEFT JOIN events_event AS event ON event.event_id = member.event_id
    WHERE known.account_id = %s AND (%s::bigint[] IS NULL OR known.id = ANY(%s::bigint[]))
    GROUP BY known.id
) AS found
WHERE person.id = found.id
"""


def people_lock(account_id: UUID) -> None:
    """Lock the groups of an account until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"people of {account_id}"])


def people_refresh(account_id: UUID, keys: Collection[int] | None = None) -> None:
    """Set the columns of groups that follow from their events; None for all groups of the account."""
    chosen = None if keys is None else list(keys)
    with connection.cursor() as cursor:
        cursor.execute(REFRESH, [account_id, chosen, chosen])


def members_gone(account_id: UUID) -> int:
    """Remove the memberships of deleted events; return their number."""
    gone = PersonEvent.objects.filter(
        ~Exists(Event.objects.unscoped().filter(event_id=OuterRef("event_id"))), person__account_id=account_id
    )
    removed, _ = gone.delete()
    return removed


def people_clear(account_id: UUID) -> None:
    """Remove proposals without events."""
    members = PersonEvent.objects.filter(person=OuterRef("pk"))
    Person.objects.for_account(account_id).filter(~Exists(members), name="").delete()


def decisions_forget(keys: Collection[int]) -> None:
    """Remove the decisions about groups, and those that led to them."""
    known, size = set(keys), 0
    while len(known) > size:
        size = len(known)
        rows = PersonDecision.objects.unscoped().filter(people__overlap=list(known))
        for people in rows.values_list("people", flat=True):
            known.update(people)
    PersonDecision.objects.unscoped().filter(people__overlap=list(known)).delete()
