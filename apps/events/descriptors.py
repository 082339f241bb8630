"""Descriptors of stored events: pages of vectors, and additional versions."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from apps.common.descriptors import Descriptor, DescriptorVersion, Kind, Sampled, versions
from apps.common.filters import Filters
from apps.common.scope import Scope
from apps.common.vectors import VectorPage, descriptors_by_owner, vectors_page
from apps.events.models import Event, EventDescriptor
from apps.events.selectors import event_descriptors

DETECTIONS: Mapping[Kind, str] = {"face": "face_detections", "body": "body_detections"}


def events_vectors(
    *, scope: Scope, filters: Filters, version: DescriptorVersion, after: int = 0, limit: int
) -> VectorPage:
    """Return descriptors of the `limit` first events with a key above `after` that pass the filters, ordered by key."""
    described = event_descriptors(scope=scope, filters=filters, version=version.version)
    return vectors_page(
        described.filter(event_id__gt=after).order_by("event_id")[:limit],
        owner="event_id",
        object_id="event__event_id",
        dimension=version.dimension,
    )


def events_described_count(*, scope: Scope, filters: Filters, version: DescriptorVersion) -> int:
    """Return the number of events that pass the filters and have a descriptor of the version."""
    return event_descriptors(scope=scope, filters=filters, version=version.version).count()


def events_tracks(*, scope: Scope, keys: Sequence[int]) -> list[tuple[int, UUID, UUID | None, str]]:
    """Return key, account, stream and track of those events that belong to a track, ordered by key."""
    tracked = Event.objects.for_scope(scope).filter(pk__in=keys, track_id__isnull=False).order_by("pk")
    return list(tracked.values_list("pk", "account_id", "stream_id", "track_id"))


def events_descriptors(*, keys: Sequence[int], kind: Kind) -> dict[int, list[Descriptor]]:
    """Return the descriptors of the installed versions of a kind, by key of the event."""
    numbers = [each.version for each in versions.all() if each.kind == kind]
    rows = EventDescriptor.objects.filter(event__in=keys, version__in=numbers)
    return descriptors_by_owner(rows, owner="event_id")


def events_lacking(*, scope: Scope, version: int, others: Collection[int]) -> QuerySet[Event]:
    """Return events without a descriptor of `version` but with one of `others`, the versions of the same kind."""
    descriptors = EventDescriptor.objects.filter(event=OuterRef("pk"))
    rows: QuerySet[Event] = Event.objects.for_scope(scope).filter(
        Exists(descriptors.filter(version__in=others)), ~Exists(descriptors.filter(version=version))
    )
    return rows


def events_lacking_after(
    *, scope: Scope, kind: Kind, version: int, others: Collection[int], key: int, limit: int
) -> list[Sampled]:
    """Return the events of `events_lacking` with a key above `key`, ordered by key, with one query."""
    rows = events_lacking(scope=scope, version=version, others=others).filter(pk__gt=key).order_by("pk")
    columns = rows.values_list("pk", "event_id", "account_id", DETECTIONS[kind])
    return [
        Sampled(key, event_id, account_id, detection_samples(detections))
        for key, event_id, account_id, detections in columns[:limit]
    ]


def event_descriptors_add(*, kind: Kind, version: int, found: Sequence[tuple[Sampled, Descriptor]]) -> int:
    """Add descriptors that were extracted from samples, in one transaction, and return their number.

    Skips an event that was deleted, lost its samples (erasure of a person), or received the version concurrently.
    """
    with transaction.atomic():
        keys = [event.key for event, _ in found]
        events = Event.objects.unscoped().filter(pk__in=keys).order_by("id").select_for_update(no_key=True)
        there = {key: detection_samples(detections) for key, detections in events.values_list("pk", DETECTIONS[kind])}
        described = EventDescriptor.objects.filter(event__in=list(there), version=version)
        for key in described.values_list("event_id", flat=True):
            del there[key]
        rows = [
            EventDescriptor(event_id=event.key, version=version, vector=descriptor.vector, score=descriptor.score)
            for event, descriptor in found
            if there.get(event.key) == event.samples
        ]
        EventDescriptor.objects.bulk_create(rows)
    return len(rows)


def detection_samples(detections: Sequence[Mapping[str, Any]]) -> tuple[UUID, ...]:
    """Return the ids of the samples of an event's detections."""
    return tuple(UUID(detection["sample_id"]) for detection in detections if detection.get("sample_id"))
