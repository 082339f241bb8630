"""What tests of every room ask of answers."""

import io
from dataclasses import dataclass
from typing import Any

from apps.monitoring.processes import publish
from luna.http.environ import environment


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


def environ(method: str, path: str, **headers: str) -> dict[str, Any]:
    scope = {
        "method": method,
        "raw_path": path.encode(),
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    return environment(scope, io.BytesIO())


def processes_run() -> None:
    """Publish the status of a worker and of the scheduler, as their processes do; it is valid for 20 s."""
    for role in ("worker", "beat"):
        publish(role)
