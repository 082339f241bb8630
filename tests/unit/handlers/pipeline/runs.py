"""Runs, pictures, faces and events for tests of stages, without networks."""

from typing import Any
from uuid import UUID, uuid4

import numpy as np

from apps.accounts.auth.principal import Principal
from apps.common.descriptors import Descriptor
from apps.events.types import EventDraft
from apps.handlers.pipeline.run import Run
from apps.handlers.policies import policies_parse
from apps.handlers.types import EventPerson, GeneratedEvent
from apps.recognition.inputs.types import Picture
from apps.recognition.types import WARP_SIZE_PX, Body, Face, ImageInput, ImageResult, Rect
from tests.factories import NOON

POINTS = np.zeros((5, 2), np.float32)
WARP = np.zeros((WARP_SIZE_PX, WARP_SIZE_PX, 3), np.uint8)


def make_run(policies: Any = None, *, account_id: UUID | None = None, **members: Any) -> Run:
    """A run of the user `account_id` under `policies` of JSON."""
    principal = Principal(account_id or uuid4(), "user", "login")
    return Run(principal=principal, policies=policies_parse(policies or {}), **members)


def make_picture(filename: str = "a.jpg", **members: Any) -> Picture:
    return Picture(image=ImageInput(b"", filename), **members)


def make_face(**estimations: object) -> Face:
    return Face(Rect(1, 2, 3, 4), 1.0, POINTS, WARP, POINTS, estimations)


def make_body(face_index: int | None = None, **estimations: object) -> Body:
    return Body(Rect(5, 6, 7, 8), 0.9, np.zeros((17, 3), np.float32), WARP, face_index, estimations)


def make_result(*faces: Face, bodies: tuple[Body, ...] = (), filename: str = "a.jpg") -> ImageResult:
    return ImageResult(filename, 10, 10, faces, bodies)


def make_event(*persons: EventPerson, descriptor: Descriptor | None = None, **columns: Any) -> GeneratedEvent:
    draft = EventDraft(**{"create_time": NOON, **columns})
    return GeneratedEvent(draft=draft, persons=persons, descriptor=descriptor)


def make_person(**members: Any) -> EventPerson:
    return EventPerson(**{"picture": make_picture(), "face": make_face(), **members})
