"""Dataclasses of the pipeline: parameters of a request and generated events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.common.descriptors import Descriptor
from apps.events.types import EventDraft, EventOrigin
from apps.faces.types import AttributeData, FaceDraft
from apps.imagestore.addresses import object_address
from apps.imagestore.choices import Bucket
from apps.matching.types import Match
from apps.recognition.run.pictures import Person
from apps.sender.targets import Target


@dataclass(frozen=True, kw_only=True)
class EventParams(EventOrigin):
    """Parameters of a request besides its images.

    A missing `create_time` is now; a missing `end_time` equals `create_time`.
    """

    create_time: datetime | None = None
    end_time: datetime | None = None
    use_exif: bool = True
    aggregate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventPerson(Person):
    """Person of an event with its stored objects.

    `sample_id`, `body_sample_id`: the stored samples. `image_origin`: the address of the source image.
    """

    sample_id: UUID | None = None
    body_sample_id: UUID | None = None
    image_origin: str | None = None

    @property
    def sample_url(self) -> str | None:
        return None if self.sample_id is None else object_address(Bucket.FACE_SAMPLES, self.sample_id)

    @property
    def body_sample_url(self) -> str | None:
        return None if self.body_sample_id is None else object_address(Bucket.BODY_SAMPLES, self.body_sample_id)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelMatches:
    """Matches of one match policy, most similar first.

    `targets`: the members of a matched object to include; an empty set includes the default ones.
    """

    label: str
    matches: tuple[Match, ...]
    targets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """Decision of storage_policy on an event: rows and callbacks for stage `write`, receivers for stage `notify`.

    `wait_saving`: the event is stored before
    the answer. `attribute`: the data of the temporary attribute. `attribute_ttl_s`: its lifetime in seconds, None
    for the default.
    """

    store_event: bool = False
    wait_saving: bool = True
    attribute: AttributeData | None = None
    attribute_ttl_s: int | None = None
    websockets: bool = False
    callbacks: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GeneratedEvent:
    """Event of one person, or of the same person in several pictures (`aggregated`).

    `persons` is empty for an event of a descriptor. `estimations`, `body_estimations`: by API name, of one person or
    aggregated. `face`: the face to store. `attribute_id`: the stored temporary attribute. `message`: the sent message.
    """

    draft: EventDraft
    persons: tuple[EventPerson, ...] = ()
    estimations: Mapping[str, object] = field(default_factory=dict)
    body_estimations: Mapping[str, object] = field(default_factory=dict)
    descriptor: Descriptor | None = None
    body_descriptor: Descriptor | None = None
    aggregated: bool = False
    matches: tuple[LabelMatches, ...] = ()
    face: FaceDraft | None = None
    decision: Decision = Decision()
    attribute_id: UUID | None = None
    message: Mapping[str, Any] | None = None

    @property
    def samples(self) -> tuple[UUID, ...]:
        return tuple(person.sample_id for person in self.persons if person.sample_id is not None)

    @property
    def body_samples(self) -> tuple[UUID, ...]:
        return tuple(person.body_sample_id for person in self.persons if person.body_sample_id is not None)

    @property
    def has_face(self) -> bool:
        """Whether a face was detected or described."""
        return self.descriptor is not None or any(person.face is not None for person in self.persons)

    @property
    def has_body(self) -> bool:
        """Whether a body was detected or described."""
        return self.body_descriptor is not None or any(person.body is not None for person in self.persons)
