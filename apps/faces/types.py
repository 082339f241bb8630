"""Dataclasses of this room: attributes, drafts of faces, rows of faces."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from apps.common.descriptors import Descriptor


@dataclass(frozen=True, slots=True)
class BasicData:
    """Age in years; gender: 0 female, 1 male; ethnicity: 1 african american, 2 indian, 3 asian, 4 caucasian."""

    age: int | None = None
    gender: int | None = None
    ethnicity: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AttributeData:
    """Data of an attribute: descriptors of one or more versions, basic attributes, and the samples of each."""

    descriptors: tuple[Descriptor, ...] = ()
    basic: BasicData | None = None
    descriptor_samples: tuple[UUID, ...] = ()
    basic_samples: tuple[UUID, ...] = ()

    def descriptor(self, version: int) -> Descriptor | None:
        return next((found for found in self.descriptors if found.version == version), None)


@dataclass(frozen=True, slots=True, eq=False)
class TemporaryAttribute:
    """Attribute in Redis with a lifetime."""

    attribute_id: UUID
    account_id: UUID
    create_time: datetime
    data: AttributeData


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceDraft:
    """Face to create. Members with the name of a column of `Face` set this column.

    `attribute_id`: the temporary attribute from which `attribute` was read. `face_id`: None for a new id.
    `create_time`: None for now.
    """

    external_id: str = ""
    user_data: str = ""
    avatar: str | None = None
    event_id: UUID | None = None
    lists: Sequence[UUID] = ()
    attribute: AttributeData | None = None
    attribute_id: UUID | None = None
    face_id: UUID | None = None
    create_time: datetime | None = None


class FaceRow(NamedTuple):
    """Face for responses; a page of model instances would cost 1.5 times as much.

    The members from the second on are the targets of faces, in the order of responses. `lists`: ids, oldest link first.
    A reader that requests some members only must not use the others: they are None, and `lists` is empty.
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
    """List for pages of lists."""

    list_id: UUID
    account_id: UUID
    user_data: str
    create_time: datetime
    last_update_time: datetime
