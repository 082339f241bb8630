"""POST /6/handlers/{id}/stream_events: the frames of one track, with the client's detections."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.events.models import Event
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler, nobody
from tests.api.handlers.requests import Count, error_of

pytestmark = pytest.mark.django_db
BOX = {"x": 170, "y": 70, "width": 110, "height": 140}


def send(client: Client, handler: str, query: str = "", files: Any = None, **parts: Any) -> Any:
    frames = files or {"a.jpg": astronaut(), "b.jpg": astronaut()}
    images = [SimpleUploadedFile(name, data, JPEG) for name, data in frames.items()]
    return client.post(
        f"{handler}/stream_events{query}", {"image": images, **{name: json.dumps(part) for name, part in parts.items()}}
    )


def test_a_track_gives_one_event(client: Client) -> None:
    handler = make_handler(client)
    answer = send(
        client, handler, "?track_id=7&source=door",
        sources=[{"filename": "a.jpg", "detect_ts": 1.5, "image_origin": "https://camera/a", "frame": 12, "key": {}}],
        face_detection_data=[
            {"filename": "a.jpg", "bounding_box": BOX, "angles": {"yaw": 3}, "score": 0.9},
            {"filename": "b.jpg", "bounding_box": BOX, "origin_bounding_box": BOX},
        ],
    )  # fmt: skip
    assert answer.status_code == 201, answer.json()
    (event,) = answer.json()["events"]
    assert (event["track_id"], event["source"]) == ("7", "door")
    first, second = event["detections"]
    assert (first["filename"], first["detect_ts"], first["image_origin"]) == ("a.jpg", 1.5, "https://camera/a")
    assert (second["filename"], second["detect_ts"], second["image_origin"]) == ("b.jpg", None, None)
    assert Event.objects.unscoped().get().event_id == UUID(event["event_id"])
    apart = send(client, handler, "?aggregate_attributes=0").json()["events"]
    assert [len(each["detections"]) for each in apart] == [1, 1]


def test_trusted_detections_are_not_searched(client: Client) -> None:
    """A box without a face gives a detection only if it is trusted."""
    handler, frame = make_handler(client), {"a.jpg": nobody()}
    boxes = [{"filename": "a.jpg", "bounding_box": {"x": 60, "y": 60, "width": 100, "height": 100}}]
    assert send(client, handler, files=frame, face_detection_data=boxes).json()["events"] == []
    trusted = client.post(
        f"{handler}/stream_events",
        {"image": SimpleUploadedFile("a.jpg", nobody(), JPEG), "face_detection_data": json.dumps(boxes)},
        headers={"X-Luna-Trusted-Detections": "1"},
    )
    assert len(trusted.json()["events"]) == 1


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"face_detection_data": {}}, 12027),
        ({"face_detection_data": [BOX]}, 12027),
        ({"face_detection_data": [{"filename": "a.jpg"}]}, 12027),
        ({"body_detection_data": [{"filename": "a.jpg", "bounding_box": {**BOX, "width": 0}}]}, 12027),
        ({"sources": ["a.jpg"]}, 12027),
        ({"sources": [{"filename": "a.jpg", "meta": {"a b": 1}}]}, 12027),
        ({"sources": [{"filename": "c.jpg"}]}, 11049),
        ({"face_detection_data": [{"filename": "c.jpg", "bounding_box": BOX}]}, 11049),
        ({"face_detection_data": [{"filename": "a.jpg", "bounding_box": BOX}] * 2}, 11050),
        ({"policies": {}}, 34007),
        ({"unknown": {}}, 12039),
    ],
)
def test_descriptions_that_are_refused(client: Client, stored: Count, parts: Any, code: int) -> None:
    handler, before = make_handler(client), stored()
    answer = send(client, handler, **parts)
    assert error_of(answer) == (403 if code == 34007 else 400, code)
    assert stored() == before


def test_other_forms(client: Client) -> None:
    handler = make_handler(client)
    path = f"{handler}/stream_events"
    assert len(client.post(path, astronaut(), JPEG).json()["events"]) == 1
    missing = {
        "urls": ["https://example.invalid/a.jpg"],
        "face_detection_data": [{"filename": "x", "bounding_box": BOX}],
    }
    assert error_of(client.post(path, missing, JSON)) == (400, 11049)
    boxes = [{"filename": "a.jpg", "bounding_box": BOX}]
    assert error_of(send(client, handler, "?image_type=1", face_detection_data=boxes)) == (400, 11047)
