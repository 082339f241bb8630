"""Conditions on more than one column or value: a geographic area, the best candidate of a label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from apps.common.filters.operators import BOUNDS


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle in degrees, edges included. If it crosses the date line, west > east."""

    west: float
    east: float
    south: float
    north: float

    def q(self) -> Q:
        east, west = Q(longitude__lte=self.east), Q(longitude__gte=self.west)
        across = west | east if self.west > self.east else west & east
        return across & Q(latitude__gte=self.south, latitude__lte=self.north)

    def holds(self, longitude: float, latitude: float) -> bool:
        east, west = longitude <= self.east, longitude >= self.west
        across = west or east if self.west > self.east else west and east
        return across and self.south <= latitude <= self.north


@dataclass(frozen=True, slots=True)
class Box:
    """An area of degrees around an origin: a rectangle, and what it covers on the far side of a pole that it reaches.

    The date line is one meridian, -180 and 180 degrees. A pole has all longitudes.
    """

    parts: tuple[Rectangle, ...]

    @classmethod
    def around(cls, longitude: float, latitude: float, longitude_delta: float, latitude_delta: float) -> "Box":
        """Return the box that extends by the deltas, of at most 90 degrees, to both sides."""
        south, north = latitude - latitude_delta, latitude + latitude_delta
        near = *_meridians(longitude, longitude_delta), max(south, -90.0), min(north, 90.0)
        far = _meridians(longitude + 180.0, longitude_delta)
        parts = [Rectangle(*near)]
        if north >= 90.0:
            parts += [Rectangle(-180.0, 180.0, 90.0, 90.0), Rectangle(*far, 180.0 - north, 90.0)]
        if south <= -90.0:
            parts += [Rectangle(-180.0, 180.0, -90.0, -90.0), Rectangle(*far, -90.0, -180.0 - south)]
        return cls(tuple(parts))


def _meridians(longitude: float, delta: float) -> tuple[float, float]:
    """Return the western and eastern edge; the western one is greater if the date line is between or on them."""
    if longitude > 180.0:
        longitude -= 360.0
    west, east = longitude - delta, longitude + delta
    return west + 360.0 if west <= -180.0 else west, east - 360.0 if east >= 180.0 else east


@dataclass(frozen=True, slots=True)
class Area:
    """The parameters `origin_longitude` … `latitude_delta`: a `Box`, or None for events without a position."""

    name: str = "geo_position"

    def q(self, value: Box | None) -> Q:
        if value is None:
            return Q(longitude__isnull=True, latitude__isnull=True)
        return reduce(or_, (part.q() for part in value.parts))

    def holds(self, facts: Mapping[str, Any], value: Box | None) -> bool:
        longitude, latitude = facts.get("longitude"), facts.get("latitude")
        if value is None:
            return longitude is None and latitude is None
        if longitude is None or latitude is None:
            return False
        return any(part.holds(longitude, latitude) for part in value.parts)


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
