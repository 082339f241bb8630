"""Dataclasses of this room: an event to store, and its descriptors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from apps.common.descriptors import Descriptor


@dataclass(frozen=True, kw_only=True, eq=False)
class EventOrigin:
    """Data of an event that the client supplies: source, place, ids and tags."""

    source: str | None = None
    stream_id: UUID | None = None
    track_id: str | None = None
    external_id: str = ""
    user_data: str = ""
    tags: Sequence[str] = ()
    city: str | None = None
    area: str | None = None
    district: str | None = None
    street: str | None = None
    house_number: str | None = None
    longitude: float | None = None
    latitude: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class EventDraft(EventOrigin):
    """Event to store. Each attribute equals the column of `Event` of the same name.

    `end_time` defaults to `create_time`. Enumerations are the numbers of `apps.common.filters.enums`.
    """

    event_id: UUID = field(default_factory=uuid4)
    handler_id: UUID | None = None
    create_time: datetime
    end_time: datetime = None  # type: ignore[assignment]  # create_time, see __post_init__

    meta: Any = None
    face_id: UUID | None = None
    attach_result: Sequence[UUID] = ()
    gender: int | None = None
    age: int | None = None
    emotion: int | None = None
    ethnic_group: int | None = None
    mask: int | None = None
    liveness: int | None = None
    deepfake: int | None = None

    apparent_gender: int | None = None
    apparent_age: int | None = None
    headwear_state: int | None = None
    headwear_apparent_color: int | None = None
    sleeve_length: int | None = None
    upper_clothing_colors: Sequence[int] | None = None
    backpack_state: int | None = None
    lower_garment_type: int | None = None
    lower_garment_colors: Sequence[int] | None = None
    shoes_apparent_color: int | None = None

    top_matching_candidates_label: str | None = None
    top_similar_object_id: UUID | None = None
    top_similar_object_type: int | None = None
    top_similar_object_similarity: float | None = None
    top_similar_external_id: str | None = None
    match_result: Sequence[Mapping[str, Any]] = ()

    face_detections: Sequence[Mapping[str, Any]] = ()
    body_detections: Sequence[Mapping[str, Any]] = ()
    notified: bool = False

    def __post_init__(self) -> None:
        if self.end_time is None:
            object.__setattr__(self, "end_time", self.create_time)

    def facts(self) -> dict[str, Any]:
        """Return the columns by name, the input of `apps.common.filters.accepts`."""
        return dict(vars(self))


@dataclass(frozen=True, slots=True, eq=False)
class EventRecord:
    """Draft with the descriptors of its face and body; their versions differ."""

    draft: EventDraft
    descriptors: Sequence[Descriptor] = ()
