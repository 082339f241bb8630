"""What is compared with what, and what comes of it."""

from dataclasses import dataclass, field
from uuid import UUID

from apps.common.descriptors import Vector
from apps.common.filters import Filters
from apps.common.scope import Scope
from apps.events.models import Event
from apps.faces.types import FaceRow, TemporaryAttribute

DEFAULT_LIMIT = 3


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A reference: what the caller called it, and its unit vector, float32 [dimension of the version]."""

    id: str
    type: str
    version: int
    vector: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceCandidates:
    """Stored faces, chosen by the filter language."""

    scope: Scope
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCandidates:
    """Stored events, chosen by the filter language."""

    scope: Scope
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeCandidates:
    """Temporary attributes; expired ones are simply not there."""

    scope: Scope
    attribute_ids: tuple[UUID, ...] = ()


Candidates = FaceCandidates | EventCandidates | AttributeCandidates


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A block of candidates: the `limit` most similar of them match, those of at least `threshold` (similarity 0..1).

    `targets`: the members of a matched object that the caller needs; none for all.
    """

    candidates: Candidates
    limit: int = DEFAULT_LIMIT
    threshold: float = 0.0
    targets: frozenset[str] = frozenset()


Found = FaceRow | Event | TemporaryAttribute
"""A matched object."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """One candidate that a probe resembles: exactly one of `face`, `event`, `attribute` is set."""

    similarity: float
    object_id: UUID
    face: FaceRow | None = None
    event: Event | None = None
    attribute: TemporaryAttribute | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference as a request names it: a stored object by `id`, or a descriptor with `data` in Base64.

    The ids of faces, events and attributes are UUIDs in their canonical spelling. `version` goes with raw descriptors.
    """

    type: str
    id: str
    data: str = ""
    version: int | None = None
