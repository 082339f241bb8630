"""Inputs of the Image Store."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID, uuid4

TTL_DAYS = (1, 2, 3, 4, 5, 6, 7, 14, 30, 60, 90, 180, 365)
KEEP = -1  # a time to live without end, which overrides the bucket's


class Readable(Protocol):
    """A byte stream that is read once, from start to end."""

    def read(self, size: int = ..., /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """An object to store: bytes, or a stream that is read once.

    `ttl_days` is one of `TTL_DAYS`, `KEEP`, or None for the bucket's. `meta` is JSON: the client's keys of an image, or
    `{"landmarks5": [[x, y] * 5]}` of a face sample, in warp pixels.
    """

    account_id: UUID
    bucket: str
    data: bytes | Readable
    content_type: str
    object_id: UUID = field(default_factory=uuid4)
    ttl_days: int | None = None
    meta: Mapping[str, object] = field(default_factory=dict)

    def stream(self) -> Readable:
        return io.BytesIO(self.data) if isinstance(self.data, bytes) else self.data
