"""Helpers that send requests for events and read the responses."""

import json
from collections.abc import Callable
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.api.handlers.helpers import JPEG, JSON, astronaut
from tests.api.helpers import Stored

Count = Callable[[], Stored]


def generate(client: Client, handler: str, data: Any, content_type: str = JPEG, query: str = "", **headers: str) -> Any:
    answer = client.post(f"{handler}/events{query}", data, content_type, headers=headers)
    assert answer.status_code == 201, answer.json()
    return answer.json()


def generate_form(client: Client, handler: str, *, query: str = "", **parts: Any) -> Any:
    """Parts: bytes become files of that name, the rest JSON."""
    data = {
        name: SimpleUploadedFile(name, value, JPEG) if isinstance(value, bytes) else json.dumps(value)
        for name, value in parts.items()
    }
    return client.post(f"{handler}/events{query}", data)


def error_of(answer: Any) -> tuple[int, int]:
    return answer.status_code, answer.json()["error_code"]


def make_list(client: Client) -> str:
    list_id: str = client.post("/6/lists", {"user_data": "people"}, JSON).json()["list_id"]
    return list_id


def detect(client: Client, data: bytes = b"", query: str = "") -> Any:
    answer = client.post(f"/6/detector{query}", data or astronaut(), JPEG)
    assert answer.status_code == 201, answer.json()
    return answer.json()["images"]


def samples_of(client: Client, data: bytes = b"") -> list[str]:
    (image,) = detect(client, data)
    return [each["face"]["sample_id"] for each in image["detections"]["samples"]]


def extract(client: Client, body: Any, query: str = "") -> Any:
    return client.post(f"/6/extractor{query}", body, JSON)
