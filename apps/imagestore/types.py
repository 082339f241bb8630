"""What travels into the Image Store."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID, uuid4

TTL_DAYS = (1, 2, 3, 4, 5, 6, 7, 14, 30, 60, 90, 180, 365)
KEEP = -1  # a time to live that never ends, whatever the bucket says


class Readable(Protocol):
    """A stream of bytes that is read once, front to back."""

    def read(self, size: int = ..., /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """Bytes to be stored, all at once or as a stream that is read once.

    `ttl_days` is one of `TTL_DAYS`, `KEEP`, or None for the bucket's own. `meta` is JSON: the user's keys of an image,
    `{"landmarks5": [[x, y] * 5]}` in warp pixels of a face sample.
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
