"""Storing events. They are immutable: there is no update."""

from collections.abc import Sequence
from uuid import UUID

from django.db import IntegrityError

from apps.common.errors import LunaError
from apps.events.models import Event, EventDescriptor
from apps.events.types import EventDescriptorData, EventDraft, EventRecord


def event_create(*, account_id: UUID, draft: EventDraft, descriptors: Sequence[EventDescriptorData] = ()) -> Event:
    """Stores one event. Raises LunaError 23003 when its id is taken."""
    return events_create(account_id=account_id, records=[EventRecord(draft, descriptors)])[0]


def events_create(*, account_id: UUID, records: Sequence[EventRecord]) -> list[Event]:
    """Stores events and their descriptors: two INSERTs, however many events, in the caller's transaction.

    Raises LunaError 23003 when an event id is taken; the transaction is lost then.
    """
    try:
        events: list[Event] = Event.objects.bulk_create(
            [Event(account_id=account_id, **_columns(record.draft)) for record in records]
        )
    except IntegrityError as error:
        raise LunaError(23003, ", ".join(str(record.draft.event_id) for record in records)) from error
    EventDescriptor.objects.bulk_create(
        EventDescriptor(event=event, version=data.version, vector=data.vector, score=data.score)
        for event, record in zip(events, records, strict=True)
        for data in record.descriptors
    )
    return events


def _columns(draft: EventDraft) -> dict[str, object]:
    # JSON columns take lists, not tuples of the frozen draft; arrays do not mind.
    return {name: list(value) if isinstance(value, tuple) else value for name, value in draft.facts().items()}
