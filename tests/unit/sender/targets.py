"""A target of callbacks that notes its deliveries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

from apps.sender.targets.base import Target

delivered: list[tuple[str, UUID, str]] = []
"""Place, id and payload of each attempt."""
errors: dict[str, Exception] = {}
"""What an attempt at a place raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Target):
    kind: ClassVar[str] = "noted"

    name: str
    timeout_s: float = 1.0

    @property
    def place(self) -> str:
        return self.name

    @property
    def server(self) -> str:
        return self.name.partition("/")[0]

    def packed(self) -> Mapping[str, object]:
        return {"name": self.name, "timeout_s": self.timeout_s}

    @classmethod
    def unpacked(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)

    def deliver(self, callback_id: UUID, payload: str) -> None:
        delivered.append((self.name, callback_id, payload))
        if self.name in errors:
            raise errors[self.name]
