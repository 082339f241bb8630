"""The trail of one person: the events whose descriptor matches that of a face or event, in the order of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.common.descriptors import DescriptorVersion, Kind, versions
from apps.common.fields import FilterTimeField, UUIDField
from apps.common.filters import Filters
from apps.common.filters.kinds import FiniteFloatField
from apps.common.scope import Scope
from apps.common.times import parse_filter_time
from apps.events.models import Event
from apps.handlers.policies.verifier import DEFAULT_THRESHOLD
from apps.matching.matcher import match
from apps.matching.references import references_resolve
from apps.matching.types import Block, EventCandidates, Reference
from apps.recognition.calibration import stated_fmr
from apps.workbench.searches import time_limited

SIGHTINGS_SHOWN = 200
DEFAULT_PERIOD = "now-7d"


class TrailQuery(serializers.Serializer[Any]):
    """The person to trace, and the bounds of the trail."""

    face = UUIDField(required=False)
    event = UUIDField(required=False)
    descriptor = serializers.ChoiceField(choices=("face", "body"), default="face")
    similarity = FiniteFloatField(min_value=0, max_value=1, default=DEFAULT_THRESHOLD)
    create_time__gte = FilterTimeField(default=partial(parse_filter_time, DEFAULT_PERIOD))
    create_time__lt = FilterTimeField(required=False)
    sources = serializers.ListField(child=serializers.CharField(max_length=128), required=False, max_length=100)


@dataclass(frozen=True, slots=True)
class Sighting:
    """An event of a trail, with its similarity to the reference, and the time since the event before."""

    event: Event
    similarity: float
    pause: timedelta | None = None


@dataclass(frozen=True, slots=True)
class OfSource:
    """The sightings of one source: the first, the last, and their number."""

    source: str
    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Trail:
    """Sightings, oldest first. `rate`: the false match rate at the threshold, None if the calibration states none.

    `complete`: whether these are all sightings; otherwise they are the `SIGHTINGS_SHOWN` most similar ones.
    """

    sightings: Sequence[Sighting]
    by_source: Sequence[OfSource]
    version: DescriptorVersion
    rate: float | None
    complete: bool


def trail_of(*, scope: Scope, reference: Reference, kind: Kind, similarity: float, filters: Filters) -> Trail:
    """Return the trail of the person of a face or event. The reference's own event is a sighting, too.

    Raises the errors of `references_resolve`, and WorkbenchError for a search that takes too long.
    """
    version = versions.default(kind)
    ((_reference, probe),) = references_resolve(scope=scope, references=[reference], version=version)
    block = Block(EventCandidates(scope=scope, filters=filters), SIGHTINGS_SHOWN + 1, similarity)
    with time_limited():
        (found,) = match(probes=[probe], block=block)
    near = [(each.event, each.similarity) for each in found[:SIGHTINGS_SHOWN] if each.event is not None]
    near.sort(key=lambda each: (each[0].create_time, each[0].pk))
    sightings: list[Sighting] = []
    for event, value in near:
        before = sightings[-1].event.create_time if sightings else None
        pause = None if before is None else timedelta(seconds=round((event.create_time - before).total_seconds()))
        sightings.append(Sighting(event, value, pause))
    complete = len(found) <= SIGHTINGS_SHOWN
    return Trail(sightings, _by_source(sightings), version, stated_fmr(version, similarity), complete)


def _by_source(sightings: Sequence[Sighting]) -> list[OfSource]:
    """Return the sources in the order of their first sighting."""
    times: dict[str, list[datetime]] = {}
    for each in sightings:
        times.setdefault(each.event.source or _("no source"), []).append(each.event.create_time)
    return [OfSource(source, found[0], found[-1], len(found)) for source, found in times.items()]


def positions_of(trail: Trail) -> list[dict[str, Any]]:
    """Return the sightings with a position, oldest first, for a map."""
    return [
        {
            "number": number,
            "latitude": each.event.latitude,
            "longitude": each.event.longitude,
            "text": each.event.source or "",
            "time": each.event.create_time.isoformat(" ", "seconds"),
        }
        for number, each in enumerate(trail.sightings, 1)
        if each.event.latitude is not None and each.event.longitude is not None
    ]
