"""Checks of descriptors of events against their versions, for `manage.py fsck`."""

from collections.abc import Iterator
from functools import partial

from django.db.models import Exists, F, Func, IntegerField, OuterRef

from apps.common.descriptors import versions
from apps.common.holdings import Fault
from apps.events.models import Event, EventDescriptor


def descriptors_check(deep: bool) -> Iterator[Fault]:
    """Yield descriptors whose dimension differs from their version's."""
    for version in versions.all():
        rows = EventDescriptor.objects.filter(version=version.version).annotate(
            dimension=Func(F("vector"), function="vector_dims", output_field=IntegerField())
        )
        for row in rows.exclude(dimension=version.dimension).select_related("event").iterator():
            subject = f"event {row.event.event_id} version {row.version}"
            yield Fault("descriptor of the wrong dimension", subject, partial(_remove, row.pk))


def owners_check(deep: bool) -> Iterator[Fault]:
    """Yield descriptors without their event; the database has no foreign key of theirs."""
    lost = EventDescriptor.objects.filter(~Exists(Event.objects.unscoped().filter(pk=OuterRef("event_id"))))
    for row in lost.only("event_id", "version").iterator():
        subject = f"event key {row.event_id} version {row.version}"
        yield Fault("descriptor without event", subject, partial(_remove, row.pk))


def _remove(key: tuple[int, int]) -> None:
    EventDescriptor.objects.filter(pk=key).delete()
