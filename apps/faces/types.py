"""What travels into and out of this room: attributes, drafts of faces, rows of faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from apps.common.descriptors import Descriptor


@dataclass(frozen=True, slots=True)
class BasicData:
    """Age in years, gender 0 female 1 male, ethnicity 1 african american 2 indian 3 asian 4 caucasian."""

    age: int | None = None
    gender: int | None = None
    ethnicity: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AttributeData:
    """What is known of a face: descriptors of one or more versions, basic attributes, and the samples of each."""

    descriptors: tuple[Descriptor, ...] = ()
    basic: BasicData | None = None
    descriptor_samples: tuple[UUID, ...] = ()
    basic_samples: tuple[UUID, ...] = ()

    def descriptor(self, version: int) -> Descriptor | None:
        return next((found for found in self.descriptors if found.version == version), None)


@dataclass(frozen=True, slots=True, eq=False)
class TemporaryAttribute:
    """An attribute that waits in Redis for its use."""

    attribute_id: UUID
    account_id: UUID
    create_time: datetime
    data: AttributeData


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceDraft:
    """A face to be made; members with the name of a column of `Face` go into it.

    `attribute_id` names the temporary attribute that `attribute` comes from. Without `face_id` the face gets a new one.
    """

    external_id: str = ""
    user_data: str = ""
    avatar: str | None = None
    event_id: UUID | None = None
    lists: Sequence[UUID] = ()
    attribute: AttributeData | None = None
    attribute_id: UUID | None = None
    face_id: UUID | None = None


class FaceRow(NamedTuple):
    """A face as answers show it; a page of instances of the model costs half as much again.

    From the second on its members are the targets of faces, in the order of answers. `lists`: ids, oldest link first;
    empty where they were not asked for.
    """

    id: int
    face_id: UUID
    account_id: UUID
    event_id: UUID | None
    user_data: str
    create_time: datetime
    external_id: str
    avatar: str
    lists: Sequence[UUID] = ()


class ListRow(NamedTuple):
    """A list as pages show it."""

    list_id: UUID
    account_id: UUID
    user_data: str
    create_time: datetime
    last_update_time: datetime
