"""Dataclasses of matching: references, candidates and matches."""

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from apps.common.descriptors import Vector
from apps.common.filters import Filters
from apps.common.scope import Scope
from apps.events.models import Event
from apps.faces.types import FaceRow, TemporaryAttribute

DEFAULT_LIMIT = 3
Speed = Literal["exact", "fast"]


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Reference with its unit vector, float32 [dimension of the version], and the caller's name.

    `object_id`: the stored object, None for a descriptor of the request.
    """

    id: str
    type: str
    version: int
    vector: Vector
    object_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceCandidates:
    """Stored faces that pass filters. `speed`: None for that of the settings."""

    scope: Scope
    filters: Filters = field(default_factory=dict)
    speed: Speed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCandidates:
    """Stored events that pass filters."""

    scope: Scope
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeCandidates:
    """Temporary attributes by id; expired ones are skipped."""

    scope: Scope
    attribute_ids: tuple[UUID, ...] = ()


Candidates = FaceCandidates | EventCandidates | AttributeCandidates


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Block of candidates. The matches are the `limit` most similar ones with a similarity of at least `threshold`.

    `threshold`: 0..1. `targets`: the members of a matched object that the caller needs, empty for all.
    """

    candidates: Candidates
    limit: int = DEFAULT_LIMIT
    threshold: float = 0.0
    targets: frozenset[str] = frozenset()


Found = FaceRow | Event | TemporaryAttribute
"""Matched object."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Match of one candidate: exactly one of `face`, `event`, `attribute` is set."""

    similarity: float
    object_id: UUID
    face: FaceRow | None = None
    event: Event | None = None
    attribute: TemporaryAttribute | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """Reference of a request: a stored object by `id`, or a descriptor with `data` in Base64.

    Ids of faces, events and attributes are UUIDs in canonical form. `version`: the version of a raw descriptor.
    """

    type: str
    id: str
    data: str = ""
    version: int | None = None
