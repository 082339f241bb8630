"""Contents of all types with values of the wrong type at every depth."""

from collections.abc import Mapping
from typing import Any

import pytest

from apps.tasks.types.registry import task_type_named
from tests.factories import make_version
from tests.unit.tasks.contents import check_contents

SOME_ID = "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e"  # equal in all processes of pytest-xdist
OTHER_ID = "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2f"
FACES = {
    "list_id": SOME_ID,
    "face_ids": [SOME_ID],
    "user_data": "x",
    "external_ids": ["x"],
    "event_id": SOME_ID,
    "create_time__gte": "now-1d",
    "create_time__lt": "2026-11-27T00:00:00Z",
    "account_id": SOME_ID,
}
EVENTS = {
    "event_ids": [SOME_ID],
    "sources": ["gate"],
    "tags": ["vip"],
    "gender": 1,
    "age__gte": 20,
    "origin_longitude": 5.5,
    "origin_latitude": 5.5,
    "meta.a.b__like": "x",
    "insert_time__gte": "now-1d",
    "end_time__lt": "now-1s",
    "handler_ids": [SOME_ID],
    "account_id": SOME_ID,
}
TABLE = {"columns": ["user_data", "create_time"], "save_images": 1, "csv_delimiter": ";"}
REMOVED = {"store_results": 0, "account_id": SOME_ID, "remove_samples": 1}
VERSION = {"options": {"descriptor_version": 7}, "filters": {"account_id": SOME_ID}, "store_results": 1}
LOGIN = {"user": "anna", "password": "x"}
PLACE = {"image_type": 1, "prefix": "a", "postfix": ".jpg", "recursive": 0}
SOURCES: tuple[dict[str, Any], ...] = (
    {"source_type": "zip", "reference": "/6/objects/x", "authorization": {"password": "x"}},
    {
        "source_type": "s3",
        "bucket_name": "a",
        "endpoint": "http://a",
        "region": "eu",
        "save_origin": 1,
        "authorization": {"public_access_key": "a", "secret_access_key": "b", "signature_version": "s3v2"},
    },
    {"source_type": "network_disk", "path": "/a", "follow_links": 1},
    {"source_type": "ftp", "host": "a", "port": 21, "max_sessions": 2, "path": "a", "authorization": LOGIN},
    {"source_type": "samba", "host": "a", "port": 445, "path": "a/b", "authorization": LOGIN},
)
POLICIES = {
    "detect_policy": {"detect_face": 1},
    "storage_policy": {"face_policy": {"store_face": 1, "filters": {"age__gte": 20}}},
}
CONTENTS: list[tuple[str, Mapping[str, Any], int]] = [
    ("linker", {"objects_type": "faces", "filters": FACES, "create_list": 1, "user_data": "x"}, 200),
    ("clustering", {"objects_type": "faces", "filters": FACES, "threshold": 0.5, "limit": 5}, 200),
    ("clustering", {"objects_type": "events", "filters": EVENTS, "descriptor": "body", "account_id": SOME_ID}, 250),
    ("exporter", {"objects_type": "faces", "filters": FACES, **TABLE}, 200),
    ("exporter", {"objects_type": "events", "filters": EVENTS, **TABLE}, 250),
    ("reporter", {"task_id": 17, "account_id": SOME_ID, **TABLE}, 80),
    ("gc", {"target": "faces", "filters": FACES, **REMOVED}, 200),
    ("gc", {"target": "events", "filters": EVENTS, "remove_image_origins": 1, **REMOVED}, 250),
    ("gc", {"target": "events", "filters": {"handler_id": SOME_ID}}, 30),
    ("gc", {"target": "descriptors", **VERSION}, 60),
    ("gc", {"target": "event_descriptors", "descriptor_type": "face", **VERSION}, 60),
    *(("estimator", {"source": {**each, **PLACE}, "handler": {"handler_id": SOME_ID}}, 100) for each in SOURCES),
    ("estimator", {"source": SOURCES[0], "handler": {"handler_id": OTHER_ID, "policies": POLICIES}}, 150),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "content", "least"), CONTENTS)
def test_wrong_types_at_every_depth_are_refused(name: str, content: Mapping[str, Any], least: int) -> None:
    """Other types have this test beside their own ones."""
    make_version(7, 4)
    task_type = task_type_named(name)
    assert task_type is not None
    assert check_contents(task_type, content, lenient=("policies",)) > least
