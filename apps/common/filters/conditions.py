"""Conditions on more than one column or value: a geographic area, the best candidate of a label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from apps.common.filters.operators import BOUNDS


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in degrees, edges included. If it crosses the date line, west > east."""

    west: float
    east: float
    south: float
    north: float

    @classmethod
    def around(cls, longitude: float, latitude: float, longitude_delta: float, latitude_delta: float) -> "Box":
        """Return the box that extends by the deltas to both sides, clipped at the poles."""
        west, east = longitude - longitude_delta, longitude + longitude_delta
        return cls(
            west=west + 360.0 if west < -180.0 else west,
            east=east - 360.0 if east > 180.0 else east,
            south=max(latitude - latitude_delta, -90.0),
            north=min(latitude + latitude_delta, 90.0),
        )


@dataclass(frozen=True, slots=True)
class Area:
    """The parameters `origin_longitude` … `latitude_delta`: a `Box`, or None for events without a position."""

    name: str = "geo_position"

    def q(self, value: Box | None) -> Q:
        if value is None:
            return Q(longitude__isnull=True, latitude__isnull=True)
        east, west = Q(longitude__lte=value.east), Q(longitude__gte=value.west)
        across = west | east if value.west > value.east else west & east
        return across & Q(latitude__gte=value.south, latitude__lte=value.north)

    def holds(self, facts: Mapping[str, Any], value: Box | None) -> bool:
        longitude, latitude = facts.get("longitude"), facts.get("latitude")
        if value is None:
            return longitude is None and latitude is None
        if longitude is None or latitude is None:
            return False
        east, west = longitude <= value.east, longitude >= value.west
        across = west or east if value.west > value.east else west and east
        return bool(across and value.south <= latitude <= value.north)


@dataclass(frozen=True, slots=True)
class LabelSimilarity:
    """Bounds of the similarity of a label's best candidate, by suffix. Without bounds, any candidate suffices.

    `no_match`: the opposite: the best candidate is outside of the bounds, or there is no candidate. Neither holds if
    no policy of this label was matched, because then nothing is known about its candidates.
    """

    label: str
    bounds: Mapping[str, float] = field(default_factory=dict)
    no_match: bool = False

    def holds(self, match_result: Sequence[Mapping[str, Any]]) -> bool:
        matched = [match["candidates"] for match in match_result if match["label"] == self.label]
        if not matched:
            return False
        best = max((each["similarity"] for candidates in matched for each in candidates), default=None)
        found = best is not None and all(BOUNDS[suffix].holds(best, bound) for suffix, bound in self.bounds.items())
        return found is not self.no_match


@dataclass(frozen=True, slots=True)
class Match:
    """`match` of policy filters. It is evaluated in memory only, before an event is stored."""

    name: str = "match"

    def q(self, value: Sequence[LabelSimilarity]) -> Q:
        raise TypeError("`match` is evaluated in memory, before an event is stored")

    def holds(self, facts: Mapping[str, Any], value: Sequence[LabelSimilarity]) -> bool:
        match_result = facts.get("match_result") or ()
        return any(item.holds(match_result) for item in value)


AREA = Area()
MATCH = Match()
