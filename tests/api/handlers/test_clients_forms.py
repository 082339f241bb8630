"""Bodies as clients that are generated from the OpenAPI document send them, and answers that they can read."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import encode_multipart

from tests.api.handlers.helpers import astronaut

BOUNDARY = "parts"


def send(client: Client, path: str, *parts: tuple[str, str, str]) -> Any:
    """Post two pictures, a.jpg and b.jpg, with parts of (name, content type, text)."""
    files = [SimpleUploadedFile(name, astronaut(), "image/jpeg") for name in ("a.jpg", "b.jpg")]
    extra = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: {kind}\r\n\r\n{text}\r\n'
        for name, kind, text in parts
    )
    body = extra.encode() + encode_multipart(BOUNDARY, {"image": files})
    return client.post(path, body, f"multipart/form-data; boundary={BOUNDARY}")


def box(filename: str) -> str:
    rect = {"x": 0, "y": 0, "width": 512, "height": 512}
    return json.dumps({"filename": filename, "face_bounding_boxes": [rect]})


def test_an_array_arrives_as_one_part_per_item(client: Client) -> None:
    parts = [("face_bounding_boxes", "application/json", box(name)) for name in ("a.jpg", "b.jpg")]
    answer = send(client, "/6/sdk", *parts)
    assert answer.status_code == 200, answer.content
    assert [image["error"]["error_code"] for image in answer.json()["images_estimations"]] == [0, 0]
    unknown = send(client, "/6/sdk", *parts, ("face_bounding_boxes", "application/json", box("c.jpg")))
    assert "c.jpg" in unknown.json()["detail"]


@pytest.mark.parametrize("second", [f"[{box('b.jpg')}]", "[]"])
def test_an_item_and_an_array_exclude_each_other(client: Client, second: str) -> None:
    parts = [("face_bounding_boxes", "application/json", text) for text in (box("a.jpg"), second)]
    for each in (parts, parts[::-1]):
        assert send(client, "/6/sdk", *each).status_code == 400


def test_times_and_origins_are_plain_text(client: Client) -> None:
    handler = client.post("/6/handlers", {"policies": {}}, "application/json").json()["handler_id"]
    path = f"/6/handlers/{handler}/events"
    origin = "http://camera.test/1.jpg"
    texts = [("detect_time", "text/plain", "2026-03-14T09:26:53Z"), ("image_origin", "text/plain", origin)]
    event = send(client, path, *texts).json()["events"][0]
    assert event["detections"][0]["detect_time"] == "2026-03-14T09:26:53.000000Z"
    assert event["detections"][0]["image_origin"] == origin
    assert send(client, path, ("detect_time", "application/json", "2026-03-14")).status_code == 400
    assert send(client, path, ("detect_time", "text/plain", "yesterday")).status_code == 400


def test_policies_are_repeated_in_the_types_of_the_document(client: Client) -> None:
    policies = {
        "detect_policy": {"detect_face": True, "mask_states": ["missing"]},
        "match_policy": [
            {
                "label": "a",
                "candidates": {"origin": "events", "gender": "male", "sources": "gate", "age__gte": "18"},
                "filters": {"emotions": [1, "fear", "null"]},
            }
        ],
    }
    handler = client.post("/6/handlers", {"policies": policies}, "application/json").json()["handler_id"]
    shown = client.get(f"/6/handlers/{handler}").json()["policies"]
    assert (shown["detect_policy"]["detect_face"], shown["detect_policy"]["mask_states"]) == (1, [1])
    assert shown["match_policy"][0]["candidates"] == {
        "origin": "events", "gender": [1], "sources": ["gate"], "age__gte": 18,
    }  # fmt: skip
    assert shown["match_policy"][0]["filters"] == {"emotions": [1, 3, None]}
