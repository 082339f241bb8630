"""Examples of requests and responses of the matcher, for the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiExample

FACE_ID, LIST_ID = "3f0ea5ae-5d4b-4f40-9a3b-0fd1dc5c3c1e", "7a8d22c1-2a53-4b6e-8b0a-5dbe4c5f3b55"
EVENT_ID, ATTRIBUTE_ID = "c2d1a9ee-4e5b-4b0a-a3ad-95f4f6f0a8ab", "5e2f9d0f-2f49-4a6e-9b54-0a7f5a1b7c11"

FACES: Mapping[str, Any] = {
    "a face in a list": {
        "references": [{"type": "face", "id": FACE_ID}],
        "candidates": [
            {
                "filters": {"origin": "faces", "list_id": LIST_ID},
                "targets": ["face_id", "external_id", "similarity"],
                "limit": 3,
                "threshold": 0.8,
            }
        ],
    },
    "a descriptor in events and attributes": {
        "references": [{"type": "sdk_descriptor", "id": "visitor", "data": "…Base64…"}],
        "candidates": [
            {"filters": {"origin": "events", "sources": ["gate"], "create_time__gte": "now-7d"}},
            {"filters": {"origin": "attributes", "attribute_ids": [ATTRIBUTE_ID]}, "limit": 1},
        ],
    },
}
BODIES: Mapping[str, Any] = {
    "a body in events of one camera": {
        "references": [{"type": "event", "id": EVENT_ID}],
        "candidates": [
            {
                "filters": {"origin": "events", "sources": ["gate"], "create_time__gte": "now-1d"},
                "targets": ["event_id", "source", "create_time", "similarity"],
                "limit": 5,
            }
        ],
    },
    "all bodies of a track": {
        "references": [{"type": "event_track_id", "id": "track-17"}],
        "candidates": [{"filters": {"event_ids": [EVENT_ID]}, "threshold": 0.5}],
    },
}
RAW: Mapping[str, Any] = {
    "two SDK descriptors": {
        "references": [{"type": "sdk_descriptor", "id": "a", "data": "…Base64…"}],
        "candidates": [{"type": "sdk_descriptor", "id": "b", "data": "…Base64…"}],
    },
}
FACES_ANSWER = [
    {
        "reference": {"id": FACE_ID, "type": "face"},
        "matches": [
            {
                "filters": {"origin": "faces", "list_id": LIST_ID},
                "result": [{"face": {"face_id": FACE_ID, "external_id": "staff-12"}, "similarity": 0.97}],
            }
        ],
    }
]
BODIES_ANSWER = [
    {
        "reference": {"id": EVENT_ID, "type": "event"},
        "matches": [
            {
                "filters": {"origin": "events", "sources": ["gate"], "create_time__gte": "now-1d"},
                "result": [
                    {
                        "event": {"event_id": EVENT_ID, "source": "gate", "create_time": "2026-03-01T08:30:00.000000Z"},
                        "similarity": 0.91,
                    }
                ],
            }
        ],
    }
]
RAW_ANSWER = {"matches": [{"reference_id": "a", "matches": [{"candidate_id": "b", "similarity": 0.88}]}]}


def examples(bodies: Mapping[str, Any], answer: Any) -> list[OpenApiExample]:
    """Return the examples of an operation."""
    return [
        *(
            OpenApiExample(name, value=value, request_only=True, media_type=media_type)
            for media_type in ("application/json", "application/msgpack")
            for name, value in bodies.items()
        ),
        OpenApiExample("matches", value=answer, response_only=True, status_codes=["200"]),
    ]
