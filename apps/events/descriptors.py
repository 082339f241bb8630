"""Descriptors of stored events: pages of vectors, and additional versions."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from apps.common.descriptors import Added, Descriptor, DescriptorVersion, Kind, Sampled, versions
from apps.common.filters import Filters
from apps.common.scope import Scope
from apps.common.vectors import VectorPage, descriptors_by_owner, vectors_page
from apps.events.models import Event, EventDescriptor
from apps.events.selectors import event_descriptors, events_filter

BASIC = ("age", "gender", "ethnic_group")
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


def events_lacking(
    *, scope: Scope, version: int, others: Collection[int], filters: Filters | None = None
) -> QuerySet[Event]:
    """Return events without a descriptor of `version` but with one of `others`, the versions of the same kind."""
    descriptors = EventDescriptor.objects.filter(event=OuterRef("pk"))
    return events_filter(scope=scope, filters=filters or {}).filter(
        Exists(descriptors.filter(version__in=others)), ~Exists(descriptors.filter(version=version))
    )


def events_without_basic(*, scope: Scope, filters: Filters | None = None) -> QuerySet[Event]:
    """Return events with a detection of a face, but without any basic attribute, unordered."""
    rows = events_filter(scope=scope, filters=filters or {})
    return rows.filter(age=None, gender=None, ethnic_group=None).exclude(face_detections=[])


def events_sampled(rows: QuerySet[Event], kind: Kind) -> list[Sampled]:
    """Return events with their samples of a kind, with one query."""
    columns = rows.values_list("pk", "event_id", "account_id", DETECTIONS[kind])
    return [
        Sampled(key, event_id, account_id, detection_samples(detections))
        for key, event_id, account_id, detections in columns
    ]


def event_descriptors_add(*, kind: Kind, version: int, found: Sequence[tuple[Sampled, Descriptor]]) -> Added:
    """Add descriptors that were extracted from samples, in one transaction.

    Skips an event that was deleted, lost its samples (erasure of a person), or received the version concurrently.
    """
    with transaction.atomic():
        unchanged = _unchanged([event for event, _ in found], kind)
        described = EventDescriptor.objects.filter(event__in=unchanged, version=version)
        unchanged -= set(described.values_list("event_id", flat=True))
        rows = [
            EventDescriptor(event_id=event.key, version=version, vector=descriptor.vector, score=descriptor.score)
            for event, descriptor in found
            if event.key in unchanged
        ]
        EventDescriptor.objects.bulk_create(rows)
    return Added(len(rows))


def event_basic_add(*, found: Sequence[tuple[Sampled, Mapping[str, int | None]]]) -> Added:
    """Add basic attributes (`age`, `gender`, `ethnic_group`) that were estimated from samples, in one transaction.

    Skips an event that was deleted, lost its samples, or received basic attributes concurrently.
    """
    with transaction.atomic():
        unchanged = _unchanged([event for event, _ in found], "face")
        rows = list(events_without_basic(scope=Scope(None)).filter(pk__in=unchanged).only("pk"))
        basic = {event.key: columns for event, columns in found}
        for row in rows:
            for name in BASIC:
                setattr(row, name, basic[row.pk][name])
        Event.objects.unscoped().bulk_update(rows, BASIC)
    return Added(len(rows))


def _unchanged(found: Sequence[Sampled], kind: Kind) -> set[int]:
    """Lock events, and return the keys of those with the given samples."""
    rows = Event.objects.unscoped().filter(pk__in=[each.key for each in found]).order_by("id")
    locked = rows.select_for_update(no_key=True).values_list("pk", DETECTIONS[kind])
    there = {key: detection_samples(detections) for key, detections in locked}
    return {each.key for each in found if there.get(each.key) == each.samples}


def detection_samples(detections: Sequence[Mapping[str, Any]]) -> tuple[UUID, ...]:
    """Return the ids of the samples of an event's detections."""
    return tuple(UUID(detection["sample_id"]) for detection in detections if detection.get("sample_id"))
