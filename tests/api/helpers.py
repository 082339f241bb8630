"""What tests of every room ask of answers."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stored:
    """How much there is of everything that a request can store."""

    events: int
    event_descriptors: int
    faces: int
    face_descriptors: int
    links: int
    objects: int
    files: int
    keys: int


def refused(answer: Any, status: int, code: int) -> str:
    """Check status, code and the four keys of an error's body; return its detail."""
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (status, code), body
    assert set(body) == {"error_code", "desc", "detail", "link"}
    return str(body["detail"])
