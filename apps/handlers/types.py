"""What travels through the making of events: parameters in, persons through the stages, a result out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.events.types import EventDraft, EventOrigin
from apps.faces.types import FaceDraft
from apps.imagestore.addresses import object_address
from apps.imagestore.choices import Bucket
from apps.recognition.estimators.people_count import PeopleCount
from apps.recognition.inputs.types import Picture
from apps.recognition.run.pictures import Rejected
from apps.recognition.types import Body, Face


@dataclass(frozen=True, kw_only=True)
class EventParams(EventOrigin):
    """What a request says of its events beside the images. Missing times are now, and the time of creation."""

    create_time: datetime | None = None
    end_time: datetime | None = None
    use_exif: bool = True
    aggregate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sighting:
    """Someone on one of the pictures, by face, body or both. `sample_id`, `body_sample_id`: samples that are stored."""

    picture: Picture
    face: Face | None = None
    body: Body | None = None
    sample_id: UUID | None = None
    body_sample_id: UUID | None = None
    image_origin: str | None = None

    @property
    def sample_url(self) -> str | None:
        return None if self.sample_id is None else object_address(Bucket.FACE_SAMPLES, self.sample_id)

    @property
    def body_sample_url(self) -> str | None:
        return None if self.body_sample_id is None else object_address(Bucket.BODY_SAMPLES, self.body_sample_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Whom a person resembles: `shown` is the JSON of the answer and of the stored event."""

    object_id: UUID
    object_type: int  # words.ObjectType
    external_id: str
    similarity: float
    shown: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMatches:
    """What a match policy found, best first."""

    label: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Person:
    """Someone seen, on one picture or, aggregated, on several: what becomes an event.

    `estimations`, `body_estimations`: by API name, of the one sighting or of all together. `face`: the face that is
    stored of the person; `attribute_id`: the temporary attribute.
    """

    sightings: tuple[Sighting, ...] = ()
    estimations: Mapping[str, object] = field(default_factory=dict)
    body_estimations: Mapping[str, object] = field(default_factory=dict)
    descriptor: Descriptor | None = None
    body_descriptor: Descriptor | None = None
    draft: EventDraft
    matches: tuple[LabelMatches, ...] = ()
    face: FaceDraft | None = None
    attribute_id: UUID | None = None
    aggregated: bool = False

    @property
    def samples(self) -> tuple[UUID, ...]:
        return tuple(sighting.sample_id for sighting in self.sightings if sighting.sample_id is not None)

    @property
    def body_samples(self) -> tuple[UUID, ...]:
        return tuple(sighting.body_sample_id for sighting in self.sightings if sighting.body_sample_id is not None)

    @property
    def has_face(self) -> bool:
        """Is anything known of the face? Who comes as a descriptor was not sighted."""
        return self.descriptor is not None or any(sighting.face is not None for sighting in self.sightings)

    @property
    def has_body(self) -> bool:
        return self.body_descriptor is not None or any(sighting.body is not None for sighting in self.sightings)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageOutcome:
    """What became of one picture, in the order of the request."""

    filename: str
    error: LunaError | None = None
    people: PeopleCount | None = None
    exif: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GenerationResult:
    """`shown`: names of the estimations that the answer holds; `coordinates`: does it say where people are?

    `stage_ms`: wall clock of the stages.
    """

    images: tuple[ImageOutcome, ...]
    persons: tuple[Person, ...]
    rejected: tuple[Rejected, ...]
    shown: frozenset[str]
    coordinates: bool = False
    stage_ms: Mapping[str, float] = field(default_factory=dict)
