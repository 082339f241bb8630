"""Searches of events, and their descriptors for the matcher."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import Exists, FilteredRelation, OuterRef, Q, QuerySet

from apps.common import errors
from apps.common.config import config
from apps.common.descriptors import DescriptorVersion, Vector, versions
from apps.common.errors import LunaError
from apps.common.filters import Filters, to_q
from apps.common.filters.meta import META, MetaCondition
from apps.common.nearest import Descriptors, Members, Near, nearest
from apps.common.paging import Page
from apps.common.scope import Scope
from apps.common.times import utc_now
from apps.events.config import EventsSearch
from apps.events.meta_index import indexed_paths
from apps.events.models import Event, EventDescriptor
from apps.events.partitions import EPOCH, key_at
from apps.events.positions import Order, Position, Positions

DESCRIPTORS = Descriptors(table="events_eventdescriptor", owner="event_id")
STORING = key_at(EPOCH + timedelta(hours=1))  # an hour in keys: `insert_time` is at most so far from the key's time
WINDOW_TERMS = frozenset({"event_ids", "event_id__gte", "event_id__lt", "create_time__gte", "create_time__lt"})


def events_filter(*, scope: Scope, filters: Filters) -> QuerySet[Event]:
    """Return the events of the scope that pass the filters, unordered."""
    events: QuerySet[Event] = Event.objects.for_scope(scope).filter(to_q(filters), *_partitions(filters))
    return events


def _partitions(filters: Filters) -> Iterator[Q]:
    """Yield the keys between bounds of `insert_time`, which select partitions."""
    if "insert_time__gte" in filters:
        yield Q(pk__gte=key_at(filters["insert_time__gte"]) - STORING)
    if "insert_time__lt" in filters:
        yield Q(pk__lt=key_at(filters["insert_time__lt"]) + STORING)


def events_page(
    *,
    scope: Scope,
    filters: Filters,
    page: Page,
    order: Order = "desc",
    columns: Collection[str] = (),
    now: datetime | None = None,
    after: Position | None = None,
) -> list[Event]:
    """Return a page of events ordered by time, newest first by default, with one query (conditions on `meta`: two).

    `after`: the last event of the page before, if the caller knows it; `page` then only gives the size.

    A search without any of `WINDOW_TERMS` covers `default_window_days` before `now`. `columns`: the columns to load,
    empty for all. The query reads the keys of the page first, most often from one index alone, and then 10 to 1000
    rows. Deep pages begin where the page before has ended, if that was read recently (`positions`).
    """
    asked = filters
    if not WINDOW_TERMS & filters.keys():
        window = timedelta(days=config(EventsSearch).default_window_days)
        filters = {**filters, "create_time__gte": (now or utc_now()) - window}
    keys = ("-create_time", "-id") if order == "desc" else ("create_time", "id")
    matching = events_filter(scope=scope, filters=filters).order_by(*keys)
    positions = Positions(scope=scope, filters=asked, page=page, order=order)
    before = after or positions.before()
    wanted = matching[page.slice] if before is None else matching.filter(before.beyond(order))[: page.size]
    keys_of_page: Any = wanted.values("pk")
    if _searches_meta(filters):
        with _in_order_of_time():
            keys_of_page = list(wanted.values_list("pk", flat=True))
    events: QuerySet[Event] = Event.objects.for_scope(scope).filter(pk__in=keys_of_page)
    found = list(events.only(*columns, *(("create_time",) if columns else ())).order_by(*keys))
    if len(found) == page.size and after is None:
        positions.keep(found[-1])
    return found


def _searches_meta(filters: Filters) -> bool:
    """Return whether there are conditions on paths of `meta`, none of which has an index."""
    conditions: Sequence[MetaCondition] = filters.get(META.name) or ()
    indexed = indexed_paths() if conditions else frozenset()
    return bool(conditions) and not any(condition.index_path in indexed for condition in conditions)


@contextmanager
def _in_order_of_time() -> Iterator[None]:
    """Read events in the order of time until the page is full.

    PostgreSQL has no statistics of values in `meta` and assumes that few events pass: it would read and sort all events
    of the period. If few pass indeed, both ways read all of them.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
        yield
        cursor.execute("SET LOCAL enable_sort = on")


def event_get(*, scope: Scope, event_id: UUID, columns: Collection[str] = ()) -> Event:
    """Return one event with `columns` (empty: all). Raises LunaError EVENT_NOT_FOUND."""
    event: Event | None = Event.objects.for_scope(scope).filter(event_id=event_id).only(*columns).first()
    if event is None:
        raise LunaError(errors.EVENT_NOT_FOUND, event_id)
    return event


def event_exists(*, scope: Scope, event_id: UUID) -> bool:
    return bool(Event.objects.for_scope(scope).filter(event_id=event_id).exists())


def event_descriptors(*, scope: Scope, filters: Filters, version: int) -> QuerySet[EventDescriptor]:
    """Return the matcher's candidates, unordered: descriptors of a version of the events that pass the filters."""
    rows = EventDescriptor.objects.filter(version=version)
    if not filters and scope.account_id is None:
        return rows
    return rows.filter(event__in=events_filter(scope=scope, filters=filters))


def events_nearest(*, scope: Scope, filters: Filters, version: DescriptorVersion, vector: Vector, limit: int) -> Near:
    """Return the keys of the `limit` events nearest to a unit vector that pass the filters, with their cosines.

    `vector`: float32 [dimension]. The order is nearest first; equal cosines keep the order of storage. The result is
    exact, because every event is compared.
    """
    everything = not filters and scope.account_id is None
    try:
        members = [] if everything else [Members.of(events_filter(scope=scope, filters=filters))]
    except EmptyResultSet:  # an empty list of ids matches no event
        return []
    return nearest(DESCRIPTORS, members=members, countable=not filters, version=version, vector=vector, limit=limit)


def events_by_key(*, scope: Scope, keys: Collection[int], columns: Collection[str] = ()) -> dict[int, Event]:
    """Return the events of the scope with these database keys, by key, with `columns` (empty: all)."""
    events: QuerySet[Event] = Event.objects.for_scope(scope).only(*columns)
    return events.in_bulk(keys) if keys else {}


@dataclass(frozen=True, slots=True, eq=False)
class EventVector:
    """Event as a reference of matching. `vector` is None without a descriptor of the version."""

    event_id: UUID
    external_id: str
    track_id: str | None
    described: bool  # whether it has a descriptor of any version of the same kind
    vector: Vector | None


def event_vectors(
    *,
    scope: Scope,
    version: DescriptorVersion,
    event_ids: Iterable[UUID] = (),
    external_ids: Iterable[str] = (),
    track_ids: Iterable[str] = (),
    limit: int,
) -> list[EventVector]:
    """Return at most `limit` events with one of the ids, oldest first, each with its descriptor of `version`."""
    named = Q(event_id__in=list(event_ids)) | Q(external_id__in=list(external_ids)) | Q(track_id__in=list(track_ids))
    other_kinds = [each.version for each in versions.all() if each.kind != version.kind]
    descriptors = EventDescriptor.objects.filter(event=OuterRef("pk")).exclude(version__in=other_kinds)
    rows = (
        Event.objects.for_scope(scope)
        .filter(named)
        .annotate(
            wanted=FilteredRelation("descriptors", condition=Q(descriptors__version=version.version)),
            described=Exists(descriptors),
        )
        .order_by("id")
        .values_list("event_id", "external_id", "track_id", "described", "wanted__vector")
    )
    return [
        EventVector(
            event_id, external_id, track_id, described, None if vector is None else np.array(vector, np.float32)
        )
        for event_id, external_id, track_id, described, vector in rows[:limit]
    ]
