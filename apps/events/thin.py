"""Thin table of events: the descriptors of faces and bodies with the filters that searches use most."""

from django.core.exceptions import EmptyResultSet

from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.filters import Filters, to_q
from apps.common.filters.language import EVENT_CONDITIONS
from apps.common.nearest import Members, Near
from apps.common.scope import Scope
from apps.common.thin import ThinTable
from apps.events.models import ThinEvent
from apps.events.selectors import DESCRIPTORS

OWN = ("id", "event_key", "version", "vector")
THIN_EVENTS = ThinTable(
    name="events",
    thin=ThinEvent._meta.db_table,
    key="event_key",
    source=DESCRIPTORS,
    objects="events_event",
    columns=tuple(field.attname for field in ThinEvent._meta.fields if field.name not in OWN),
)


def thin_events_cover(filters: Filters) -> bool:
    """Return whether there are filters, and the thin table has the columns of all.

    Without filters, all descriptors are read in any case.
    """
    return bool(filters) and THIN_EVENTS.covers(filters, EVENT_CONDITIONS)


def thin_events_nearest(
    *, scope: Scope, filters: Filters, version: DescriptorVersion, vector: Vector, limit: int
) -> Near:
    """Return what `events_nearest` returns, for filters that `thin_events_cover` accepts.

    Raises ThinTableError if the table cannot be used.
    """
    rows = ThinEvent.objects.for_scope(scope).filter(to_q(filters), version=version.version).values("event_key")
    try:
        members = Members(*rows.query.sql_with_params())
    except EmptyResultSet:  # an empty list of ids matches no event
        return []
    return THIN_EVENTS.nearest(members=members, version=version, vector=vector, limit=limit)
