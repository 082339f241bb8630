"""Pictures of requests, and responses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


class BinaryImage:
    """A picture of a file."""

    def __init__(self, filename: str) -> None:
        self.path = Path(filename)


@dataclass(frozen=True)
class LunaResponse:
    """The response of a request. `json`: the decoded body, or the body of an error."""

    statusCode: int  # noqa: N815 (the name of luna3)
    json: Any

    @property
    def success(self) -> bool:
        return self.statusCode < 400
